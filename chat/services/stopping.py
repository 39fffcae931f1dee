"""Stopping replies: on the user's word, or because what they belong to goes away."""

import asyncio
import time
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext as _

from accounts.services import audit
from chat import policy, selectors, wakeups
from chat.models import Generation
from chat.services.settlement import Ending, settle_generation
from common.db import in_thread
from common.errors import Conflict, NotFound

# How long the runner is given to put away what it has; after that the end is written without it.
WAIT_SECONDS = 2.0
_STEP_SECONDS = 0.03


def stop_generation(*, user_id: UUID, generation_id: object) -> Generation:
    """Ask for the end of a reply; doing so twice, or after its end, changes nothing. Raises NotFound.

    One that no runner has taken yet ends here and now; otherwise its runner ends it within a second.
    """
    generation = selectors.get_generation(user_id, generation_id)
    if generation.is_live and _request_stop(generation.id):
        return selectors.get_generation(user_id, generation.id)
    return generation


def stop_generation_by_staff(*, generation_id: UUID, actor_id: UUID | None, reason: str) -> None:
    """The same for staff, who say why. Raises NotFound, ReasonRequired, and Conflict where it has ended."""
    reason = audit.required_reason(reason)
    generation = Generation.objects.filter(id=generation_id).first()
    if generation is None:
        raise NotFound
    with transaction.atomic():
        if not _request_stop(generation.id):
            raise Conflict(_("This reply has ended already."))
        audit.record_staff_action(
            actor_id=actor_id, action="stop_generation", target=generation, reason=reason
        )


def cancel_live_replies(session_id: UUID, *, but: str = "") -> None:
    """End every running reply of a chat before something else happens to it; waits for its runner.

    The one a request with the `client_id` in `but` began goes on.
    """
    for generation_id in _request_stops(session_id, but):
        deadline = time.monotonic() + WAIT_SECONDS
        while _is_live(generation_id) and time.monotonic() < deadline:
            time.sleep(_STEP_SECONDS)
        _end_by_force(generation_id)


async def acancel_live_replies(session_id: UUID, *, but: str = "") -> None:
    """As `cancel_live_replies`, without keeping a thread waiting."""
    for generation_id in await in_thread(_request_stops, session_id, but):
        deadline = time.monotonic() + WAIT_SECONDS
        while await in_thread(_is_live, generation_id) and time.monotonic() < deadline:
            await asyncio.sleep(_STEP_SECONDS)
        await in_thread(_end_by_force, generation_id)


def stop_replies_of_user(user_id: UUID) -> None:
    """For a user who lost access: every running reply of theirs ends."""
    for generation_id in _live_ids(Q(user_id=user_id)):
        _request_stop(generation_id)


def _request_stops(session_id: UUID, but: str) -> list[UUID]:
    others = Q(session_id=session_id) & ~Q(client_id=but)
    return [generation_id for generation_id in _live_ids(others) if _request_stop(generation_id)]


def _live_ids(which: Q) -> list[UUID]:
    live = Generation.objects.filter(which, status__in=Generation.LIVE)
    return list(live.values_list("id", flat=True))


def _request_stop(generation_id: UUID) -> bool:
    """Whether the generation was live; a queued one has ended when this returns."""
    asked = Generation.objects.filter(id=generation_id, status__in=Generation.LIVE).update(
        stop_requested_at=Coalesce("stop_requested_at", Now())
    )
    if not asked:
        return False
    early = Ending(Generation.Status.STOPPED, policy.STOPPED_EARLY)
    if settle_generation(generation_id=generation_id, ending=early, only_queued=True) is None:
        wakeups.announce_stop(generation_id)
    return True


def _is_live(generation_id: UUID) -> bool:
    return Generation.objects.filter(id=generation_id, status__in=Generation.LIVE).exists()


def _end_by_force(generation_id: UUID) -> None:
    """The runner did not answer: what it had saved is kept, and by losing its lease it loses its voice."""
    settle_generation(
        generation_id=generation_id, ending=Ending(Generation.Status.INTERRUPTED, policy.INTERRUPTED)
    )
