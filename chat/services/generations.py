"""Beginning a reply: limits, hold, messages and the queued generation, in one short transaction.

No model is called before all of it is committed; a runner takes it from there.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ADULT_AGE, age_on
from ai.errors import ModelUnavailable
from ai.models import AIModel
from ai.selectors import get_model
from ai.tokens import MESSAGE_OVERHEAD, estimate_tokens
from billing import selectors as billing_selectors
from billing.selectors import UserPrice
from billing.services import holds, limits
from billing.services.limits import RateState
from chat import policy, selectors, titles, wakeups
from chat.errors import ClientIdReused, ConversationMoved, PersonaGone, ReplyInProgress, TooManyUnpaidReplies
from chat.models import Generation, Message
from chat.selectors import ONLY_VARIANT, Variant
from chat.services import generation_sql
from common import realtime
from common.errors import AgeRestricted, DomainError, Invalid, NotFound, PlanRequired
from common.ids import uuid7
from personas.services import activity

_ATTEMPTS = 3
# Equal requests that arrive together: how long the first is waited for, and how long it may take at most.
_WAIT_SECONDS = 1.0
_STEP_SECONDS = 0.02
_CLAIM_SECONDS = 10
# What a reply may take beside the settings: to be put away while the database is away, and to be reaped.
_SETTLING_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be answered. `content` makes a new message of the user under `parent_id`; without it the
    reply stands under `parent_id` itself. `continues` is the reply to go on with."""

    kind: str
    user_id: UUID
    session_id: UUID
    client_id: str
    content: str | None = None
    parent_id: UUID | None = None
    at_active_leaf: bool = False
    continues: Message | None = None
    counts_message: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """A reply under way. `message` is what it answers; `rate` is None for a repeated request."""

    message: Message | None
    reply: Message | None
    generation: Generation
    is_new: bool
    message_variant: Variant = ONLY_VARIANT
    reply_variant: Variant = ONLY_VARIANT
    rate: RateState | None = None


@dataclass(slots=True)
class _Context:
    """The session as it was read, with what the next message hangs under."""

    active_leaf_id: UUID | None
    persona_id: UUID
    persona_name: str
    persona_model: str
    persona_octets: int
    has_lorebook: bool
    may_talk: bool
    is_mature: bool
    birth_date: Any
    has_automatic_title: bool
    unpaid_lately: int
    known_generation: UUID | None
    parent_id: UUID | None
    parent_role: str | None
    parent_status: str | None
    parent_depth: int | None
    parent_tokens: int | None


@dataclass(slots=True)
class _Plan:
    """Everything decided before the transaction."""

    request: Request
    context: _Context
    price: UserPrice
    model: AIModel
    max_output_tokens: int
    prompt_budget: int
    content_tokens: int
    ids: dict[str, UUID] = field(
        default_factory=lambda: {name: uuid7() for name in ("message", "reply", "generation")}
    )

    @property
    def hold(self) -> int:
        fixed = self.context.persona_octets // 3 + settings.CHAT_PROMPT_OVERHEAD_TOKENS
        lore = self.prompt_budget // 3 if self.context.has_lorebook else 0
        return policy.reservation(
            prompt_tokens=fixed + lore + self.path_tokens,
            prompt_budget=self.prompt_budget,
            max_output_tokens=self.max_output_tokens,
            token_price=self.price.token_price,
        )

    @property
    def path_tokens(self) -> int:
        return (self.context.parent_tokens or 0) + self.content_tokens


def begin(request: Request, *, rate: RateState | None = None) -> Started:
    """Queue a reply and reserve its worst case.

    Repeating a request with the same `client_id` answers with what the first one made, and neither counts
    nor reserves anything. `rate` says that the request was counted already. Raises NotFound,
    InsufficientCredits, LimitReached (of the tier, or the user's own), SpendingPaused, RateLimited,
    PersonaGone, AgeRestricted, ReplyInProgress, ConversationMoved, ModelUnavailable.
    """
    with _first_of_its_name(request) as is_first:
        if not is_first and (known := _wait_for_first(request)) is not None:
            return _repeat(request, known)
        try:
            return _begin(request, rate)
        except DomainError:
            # What refuses a repeated request may be what the first one has just taken.
            found = selectors.find_generation(request.session_id, request.client_id)
            if found is None:
                raise
            return _repeat(request, found.id)


@dataclass(frozen=True, slots=True)
class Room:
    """Whether another reply runs in the chat, and if so the state of the limit that was counted."""

    is_taken: bool
    rate: RateState | None = None


def make_room(request: Request) -> Room:
    """Look whether the request may begin once the chat's running reply has ended.

    Nothing is ended here. Raises what `begin` does; what the running reply holds counts as free, since it
    comes back or is paid for what was said.
    """
    live = selectors.live_generations(request.session_id).exclude(client_id=request.client_id)
    running = list(live.values_list("hold_id", flat=True))
    if not running or selectors.find_generation(request.session_id, request.client_id) is not None:
        return Room(is_taken=False)
    context = _read_context(request)
    _check_persona(context)
    if request.parent_id is not None and context.parent_id is None:
        raise NotFound
    price = billing_selectors.get_price(request.user_id)
    plan = _plan(request, context, price)
    billing_selectors.check_funds(request.user_id, amount=plan.hold, freed=[key for key in running if key])
    return Room(is_taken=True, rate=_check_limits(request, context, price))


@contextmanager
def _first_of_its_name(request: Request) -> Iterator[bool]:
    """Whether no other process or thread is beginning this very request right now."""
    name = hashlib.sha256(f"{request.session_id}:{request.client_id}".encode()).hexdigest()
    key = f"chat:begin:{name}"
    is_first = cache.add(key, 1, timeout=_CLAIM_SECONDS)
    try:
        yield is_first
    finally:
        if is_first:
            cache.delete(key)


def _wait_for_first(request: Request) -> UUID | None:
    """The generation the first of several equal requests makes; None when it makes none in time."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        found = selectors.find_generation(request.session_id, request.client_id)
        if found is not None:
            return found.id
        time.sleep(_STEP_SECONDS)
    return None


def _begin(request: Request, rate: RateState | None) -> Started:
    for _attempt in range(_ATTEMPTS):
        context = _read_context(request)
        if context.known_generation is not None:
            return _repeat(request, context.known_generation)
        _check_persona(context)
        _check_parent(request, context)
        price = billing_selectors.get_price(request.user_id)
        if rate is None:
            rate = _check_limits(request, context, price)
        plan = _plan(request, context, price)
        try:
            started = _commit(plan, rate)
        except IntegrityError as error:
            _raise_unless_repeated(error)
            continue
        if started is not None:
            return started
    known = selectors.find_generation(request.session_id, request.client_id)
    if known is None:
        raise ConversationMoved
    return _repeat(request, known.id)


def _read_context(request: Request) -> _Context:
    with connection.cursor() as cursor:
        cursor.execute(
            generation_sql.CONTEXT,
            {
                "session": request.session_id,
                "user": request.user_id,
                "client_id": request.client_id,
                "parent": request.parent_id,
                "at_leaf": request.at_active_leaf,
            },
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    return _Context(*row)


def _check_persona(context: _Context) -> None:
    if not context.may_talk:
        raise PersonaGone
    if context.is_mature:
        birth_date = context.birth_date
        if birth_date is None or age_on(timezone.localdate(), birth_date) < ADULT_AGE:
            raise AgeRestricted


def _check_parent(request: Request, context: _Context) -> None:
    if request.parent_id is not None and context.parent_id is None:
        raise NotFound
    if context.parent_status in (Message.Status.PENDING, Message.Status.STREAMING) and not request.continues:
        raise ReplyInProgress


def _check_limits(request: Request, context: _Context, price: UserPrice) -> RateState:
    if context.unpaid_lately >= settings.CHAT_UNPAID_REPLIES_PER_HOUR:
        raise TooManyUnpaidReplies(retry_after=600)
    return limits.check_ai_rate(request.user_id, limit=price.requests_per_minute)


def _plan(request: Request, context: _Context, price: UserPrice) -> _Plan:
    model = _choose_model(context.persona_model, price)
    max_output = min(model.max_output_tokens, price.max_output_tokens)
    plan = _Plan(
        request=request,
        context=context,
        price=price,
        model=model,
        max_output_tokens=max_output,
        prompt_budget=policy.prompt_budget(model.context_window, max_output),
        content_tokens=message_tokens(request.content) if request.content else 0,
    )
    if price.message_cap is not None:
        plan.max_output_tokens = policy.output_within(
            price.message_cap,
            hold=plan.hold,
            max_output_tokens=max_output,
            token_price=price.token_price,
        )
    return plan


def _choose_model(preferred: str, price: UserPrice) -> AIModel:
    """The persona's model where it runs and the tier has it, else the default one."""
    if preferred:
        try:
            model = get_model(preferred)
        except ModelUnavailable:
            pass
        else:
            if price.includes(model.lowest_tier):
                return model
    model = get_model(None)
    if not price.includes(model.lowest_tier):
        raise PlanRequired(tier=model.lowest_tier)
    return model


def hold_lifetime() -> timedelta:
    """Longer than any reply may take from the queue to its settlement, or it would end up unpaid."""
    seconds = (
        settings.CHAT_QUEUE_SECONDS
        + settings.AI_PLACE_TIMEOUT
        + settings.AI_TOTAL_TIMEOUT
        + settings.CHAT_LEASE_SECONDS
        + _SETTLING_SECONDS
    )
    return timedelta(seconds=seconds)


def message_tokens(text: str) -> int:
    return estimate_tokens(text) + MESSAGE_OVERHEAD


def _commit(plan: _Plan, rate: RateState) -> Started | None:
    """Hold, messages and generation at once; None where the conversation moved on in between."""
    request, ids = plan.request, plan.ids
    with transaction.atomic():
        hold = holds.reserve_credits(
            user_id=request.user_id,
            amount=plan.hold,
            reference=f"generation:{ids['generation']}",
            key=f"generation:{ids['generation']}",
            counts_message=request.counts_message,
            ttl=hold_lifetime(),
        )
        now = _insert(plan, hold.hold_id)
        if now is None:
            transaction.set_rollback(True)
            return None
        if request.kind == Generation.Kind.SEND:
            activity.record_chat(plan.context.persona_id, request.user_id)
        started = _started(plan, now, hold.hold_id, rate)
        wakeups.announce_work()
        realtime.publish(
            f"session.{request.session_id}",
            {"type": "reply.created", "generation_id": str(ids["generation"])},
        )
    return started


def _insert(plan: _Plan, hold_id: UUID) -> datetime | None:
    request, context = plan.request, plan.context
    depth = -1 if context.parent_depth is None else context.parent_depth
    content = request.content or ""
    parameters = {
        **plan.ids,
        "session": request.session_id,
        "user": request.user_id,
        "parent": context.parent_id,
        "expected_leaf": context.active_leaf_id,
        "at_leaf": request.at_active_leaf,
        "client_id": request.client_id,
        "content": content,
        "preview": titles.preview_of(content),
        "title": titles.title_from(content) if context.has_automatic_title else "",
        "message_depth": depth + 1,
        "reply_depth": depth + 2 if request.content is not None else depth + 1,
        "path_tokens": plan.path_tokens,
        "kind": request.kind,
        "hold": hold_id,
        "model": plan.model.slug,
        "price": plan.price.token_price,
        "budget": plan.prompt_budget,
        "max_output": plan.max_output_tokens,
        "reply_parent": plan.ids["message"] if request.content is not None else context.parent_id,
        "prefix_status": "",
    }
    statement = generation_sql.INSERT_ANSWER
    if request.continues is not None:
        statement = generation_sql.INSERT_CONTINUATION
        parameters |= {"reply": request.continues.id, "prefix_status": request.continues.status}
    elif request.content is not None:
        statement = generation_sql.INSERT_EXCHANGE
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return row[0] if row else None


def _started(plan: _Plan, now: datetime, hold_id: UUID, rate: RateState) -> Started:
    request, ids = plan.request, plan.ids
    if request.content is None or not request.at_active_leaf:
        generation = Generation.objects.select_related("reply").get(id=ids["generation"])
        return _describe(generation, is_new=True, rate=rate)
    depth = -1 if plan.context.parent_depth is None else plan.context.parent_depth
    common: dict[str, Any] = {"session_id": request.session_id, "user_id": request.user_id, "created_at": now}
    message = Message(
        **common,
        id=ids["message"],
        parent_id=plan.context.parent_id,
        role=Message.Role.USER,
        content=request.content,
        client_id=request.client_id,
        depth=depth + 1,
        path_tokens=plan.path_tokens,
    )
    reply = Message(
        **common,
        id=ids["reply"],
        parent_id=ids["message"],
        role=Message.Role.ASSISTANT,
        status=Message.Status.PENDING,
        depth=depth + 2,
        path_tokens=plan.path_tokens,
    )
    generation = Generation(
        **common,
        id=ids["generation"],
        reply=reply,
        kind=request.kind,
        client_id=request.client_id,
        hold_id=hold_id,
        model=plan.model.slug,
        token_price=plan.price.token_price,
        prompt_budget=plan.prompt_budget,
        max_output_tokens=plan.max_output_tokens,
    )
    return Started(message, reply, generation, is_new=True, rate=rate)


def _repeat(request: Request, generation_id: UUID) -> Started:
    """What the first request with this client_id made. Raises ClientIdReused where that was other."""
    generation = selectors.get_generation(request.user_id, generation_id)
    started = _describe(generation, is_new=False, rate=None)
    said = started.message.content if started.message is not None else None
    is_other_text = request.content is not None and said is not None and said != request.content
    if generation.kind != request.kind or is_other_text or _is_elsewhere(request, started.reply):
        raise ClientIdReused
    if started.reply is None:
        raise NotFound
    return started


def _is_elsewhere(request: Request, reply: Message | None) -> bool:
    """Whether the same name was given to a request about another message."""
    if reply is None or request.content is not None:
        return False
    if request.continues is not None:
        return reply.id != request.continues.id
    return reply.parent_id != request.parent_id


def describe(generation: Generation) -> Started:
    """The messages a generation belongs to, for whoever shows it."""
    return _describe(generation, is_new=False, rate=None)


def _describe(generation: Generation, *, is_new: bool, rate: RateState | None) -> Started:
    reply = generation.reply
    parent_id = reply.parent_id if reply is not None else None
    message = Message.objects.filter(id=parent_id).defer("search").first() if parent_id else None
    variants = selectors.list_variants(generation.session_id, [m for m in (message, reply) if m is not None])
    return Started(
        message,
        reply,
        generation,
        is_new,
        message_variant=variants.get(message.id, ONLY_VARIANT) if message else ONLY_VARIANT,
        reply_variant=variants.get(reply.id, ONLY_VARIANT) if reply else ONLY_VARIANT,
        rate=rate,
    )


def _raise_unless_repeated(error: IntegrityError) -> None:
    """A rival request won: the same one (then its result is read), or another one in the same chat."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
    if name == "chat_generation_one_live":
        raise ReplyInProgress from error
    if name.startswith(("chat_message_parent_id", "chat_generation_reply_id")):
        raise ConversationMoved from error
    if name not in ("chat_generation_client_id_once", "chat_message_client_id_once"):
        raise error


def clean_client_id(value: Any) -> str:
    """Raises Invalid unless `value` can name a request."""
    if not isinstance(value, str) or not 0 < len(value) <= 100 or not value.isprintable():
        raise Invalid.field("client_id", "invalid", _("Send 1 to 100 printable characters."))
    return value
