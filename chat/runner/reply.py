"""Making one reply: prompt, stream, log, and the end whatever it is."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from ai import gateway
from ai.errors import ModelUnavailable, ProviderFailed, SpendCapReached
from ai.types import CallOutcome, CompletionRequest
from chat import metrics, payloads, policy
from chat.eventlog.base import Producer
from chat.models import Generation
from chat.prompt import build_prompt
from chat.services import leases, settlement
from chat.services.leases import Job, Progress, Result
from chat.services.settlement import Ending
from common.db import in_thread
from common.errors import Unavailable

logger = structlog.get_logger("parlor.runner")

# A database that is away for longer leaves the rest to the reaper.
_PERSIST_SECONDS = 120.0
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)

_STOPPED = Ending(Generation.Status.STOPPED, policy.STOPPED)
_INTERRUPTED = Ending(Generation.Status.INTERRUPTED, policy.INTERRUPTED)
_COMPLETE = Ending(Generation.Status.COMPLETE)


class RunningReply:
    """A claimed generation in the making. `stop`, `interrupt` and `abandon` end it early."""

    def __init__(self, job: Job, *, owner: str, producer: Producer) -> None:
        self.job = job
        self.producer = producer
        self.saved_seq = 0
        self.is_finishing = False
        self._owner = owner
        self._streaming: asyncio.Task[Ending] | None = None
        self._reason: Ending | None = None
        self._is_abandoned = False
        self._outcome: CallOutcome | None = None
        self._receipt: dict[str, Any] = {}
        self._last_text_at = 0.0
        self._longest_gap = 0.0

    @property
    def id(self) -> UUID:
        return self.job.generation_id

    def progress(self) -> Progress:
        return Progress(self.id, self.producer.content, tuple(self.producer.lengths))

    def stop(self) -> None:
        """The user asked for the end: what was said is kept."""
        self._end_early(_STOPPED)

    def interrupt(self) -> None:
        """This process goes down: what was said is kept, nothing is charged."""
        self._end_early(_INTERRUPTED)

    def abandon(self) -> None:
        """The lease is lost: somebody else settles this; nothing more may be written."""
        self._is_abandoned = True
        self._end_early(_INTERRUPTED)

    async def run(self) -> None:
        """Stream to the end and settle. Only a database that stays away leaves it unsettled."""
        self.producer.start(payloads.started_event(self.id, self.job.reply_id, self.job.model))
        if self.job.prefix:
            self.producer.push(self.job.prefix)
        self._streaming = asyncio.get_running_loop().create_task(self._stream())
        if self._reason is not None:
            self._streaming.cancel()
        await asyncio.wait([self._streaming])
        self.is_finishing = True
        if self._is_abandoned:
            return
        settled = await _persist(self._settle, self._ending(self._streaming))
        if settled is not None:
            self.producer.end(settled.event)
            metrics.GAP_SECONDS.observe(self._longest_gap)

    def _end_early(self, reason: Ending) -> None:
        if self.is_finishing or self._reason is not None:
            return
        self._reason = reason
        if self._streaming is not None:
            self._streaming.cancel()

    async def _stream(self) -> Ending:
        """Runs outside any transaction; no database connection is held while the model speaks."""
        stream = gateway.open_stream(self._request())
        try:
            async with stream:
                async for text in stream:
                    self._take(text)
                    if self.producer.characters > settings.CHAT_MAX_REPLY_CHARACTERS:
                        return Ending(Generation.Status.COMPLETE, policy.TOO_LONG)
                    await self.producer.next_tick()
        finally:
            self._outcome = _outcome_of(stream)
        return self._ending_by_outcome(self._outcome)

    def _request(self) -> CompletionRequest:
        job = self.job
        prompt = build_prompt(
            job.character,
            job.turns,
            user_name=job.user_name,
            budget=job.prompt_budget,
            is_continuation=job.kind == Generation.Kind.CONTINUE,
        )
        self._receipt = prompt.receipt
        return CompletionRequest(
            model=job.model,
            system=prompt.system,
            messages=prompt.messages,
            max_output_tokens=job.max_output_tokens,
            temperature=job.temperature,
            user_id=job.user_id,
            purpose=settlement.PURPOSE,
            reference=f"generation:{job.generation_id}",
            persona_name=job.character.name,
        )

    def _take(self, text: str) -> None:
        now = time.monotonic()
        if self._last_text_at:
            self._longest_gap = max(self._longest_gap, now - self._last_text_at)
        else:
            waited = (timezone.now() - self.job.created_at).total_seconds()
            metrics.FIRST_TOKEN_SECONDS.observe(max(0.0, waited))
        self._last_text_at = now
        # PostgreSQL keeps no NUL in a text.
        text = text.replace("\x00", "")
        if text:
            self.producer.push(text)

    def _ending_by_outcome(self, outcome: CallOutcome | None) -> Ending:
        if outcome is not None and outcome.status == "refused":
            return Ending(Generation.Status.BLOCKED, policy.BLOCKED)
        if not self._has_text:
            return Ending(Generation.Status.FAILED, policy.EMPTY)
        if outcome is not None and outcome.status == "length":
            return Ending(Generation.Status.COMPLETE, policy.LENGTH)
        return _COMPLETE

    @property
    def _has_text(self) -> bool:
        return self._last_text_at > 0

    def _ending(self, streaming: "asyncio.Task[Ending]") -> Ending:
        if streaming.cancelled():
            reason = self._reason or _INTERRUPTED
            is_early = reason is _STOPPED and not self._has_text
            return Ending(Generation.Status.STOPPED, policy.STOPPED_EARLY) if is_early else reason
        error = streaming.exception()
        if error is None:
            return streaming.result()
        if isinstance(error, ProviderFailed):
            self._outcome = error.outcome or self._outcome
        if isinstance(error, (ProviderFailed, SpendCapReached, ModelUnavailable)):
            return Ending(Generation.Status.FAILED, policy.FAILED, str(error.detail))
        logger.error("reply_crashed", generation=str(self.id), exc_info=error)
        return Ending(Generation.Status.FAILED, policy.INTERNAL)

    def _settle(self, ending: Ending) -> settlement.Settled | None:
        is_saved = leases.save_result(
            owner=self._owner,
            progress=self.progress(),
            result=self._result(ending),
            receipt=json.dumps(self._receipt),
        )
        if not is_saved:
            return None
        return settlement.settle_generation(
            generation_id=self.id, ending=ending, owner=self._owner, outcome=self._outcome
        )

    def _result(self, ending: Ending) -> Result:
        outcome = self._outcome
        usage = outcome.usage if outcome is not None else None
        return Result(
            outcome=ending.status,
            code=ending.code,
            model=outcome.model if outcome is not None and outcome.model else self.job.model,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
            cached_tokens=usage.cached_tokens if usage else 0,
        )


def _outcome_of(stream: gateway.ReplyStream) -> CallOutcome | None:
    """None for a call that was refused before it began."""
    try:
        return stream.outcome
    except RuntimeError:
        return None


async def _persist(
    write: Callable[[Ending], settlement.Settled | None], ending: Ending
) -> settlement.Settled | None:
    """Write the end, again and again while the database is away."""
    deadline = time.monotonic() + _PERSIST_SECONDS
    for attempt in range(1_000):
        try:
            return await in_thread(write, ending)
        except (DatabaseError, Unavailable) as error:
            logger.warning("settling_failed", error=type(error).__name__, attempt=attempt)
            if time.monotonic() > deadline:
                return None
        await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
    return None
