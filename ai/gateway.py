"""The one way to a model: `async with open_stream(request) as stream: async for text in stream: …`.

Before the first text a call is retried and falls back to other models; after it, never, so that nothing
the user has seen is said twice. Leaving the block closes the provider's connection.
"""

import asyncio
import math
import random
import time
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings

from ai import metrics, pricing, runtime, selectors
from ai.circuit import Circuit
from ai.errors import ProviderFailed
from ai.models import AIModel, ProviderName
from ai.providers import registry
from ai.providers.base import Decoded, Limits, ProviderCall, ProviderError, ProviderStream
from ai.providers.echo import EchoStream
from ai.services import spend
from ai.tokens import estimate_request_tokens
from ai.types import Attempt, CallOutcome, CompletionRequest, Status, Usage
from common.db import in_thread
from common.ids import uuid7

# Kinds of failure that the same request would meet again.
_LASTING = {"rejected", "auth", "account", "not_found", "bad_response"}


def open_stream(request: CompletionRequest) -> "ReplyStream":
    """A reply to `request`, to be entered with `async with` and iterated for its text.

    Entering raises ModelUnavailable, SpendCapReached, or ProviderFailed where too many calls are in
    flight. Iterating raises ProviderFailed; what was yielded before stays good. Afterwards `outcome`
    says how the call ended, whatever way it ended.
    """
    return ReplyStream(request)


async def aclose() -> None:
    """Close this event loop's connections to providers, at shutdown."""
    await runtime.aclose()


class ReplyStream:
    def __init__(self, request: CompletionRequest) -> None:
        self.call_id: UUID = uuid7()
        self._request = request
        self._own_input = estimate_request_tokens(request)
        self._chain: list[AIModel] = []
        self._model: AIModel | None = None
        self._source: ProviderStream | None = None
        self._circuit: Circuit | None = None
        self._runtime: runtime.LoopRuntime | None = None
        self._lost: Decoded | None = None
        self._attempts: list[Attempt] = []
        self._started = 0.0
        self._first_token_ms: int | None = None
        self._outcome: CallOutcome | None = None

    @property
    def model(self) -> str:
        """The slug of the model that answers; by a fall-back it may change until the first text."""
        return self._current_model.slug

    @property
    def outcome(self) -> CallOutcome:
        if self._outcome is None:
            raise RuntimeError("The call has not ended.")
        return self._outcome

    @property
    def _current_model(self) -> AIModel:
        if self._model is None:
            raise RuntimeError("The stream was not entered.")
        return self._model

    async def __aenter__(self) -> Self:
        self._started = time.monotonic()
        if selectors.catalogue.is_fresh:
            self._choose_models()
        else:
            await in_thread(self._choose_models)
        await self._admit()
        place = runtime.current()
        try:
            await place.take_place()
        except BaseException as error:
            self._close("stopped" if isinstance(error, asyncio.CancelledError) else "failed", error)
            if isinstance(error, ProviderError):
                raise self._failure(error) from error
            raise
        self._runtime = place
        return self

    def _choose_models(self) -> None:
        self._model = selectors.get_model(self._request.model)
        self._chain = selectors.fallback_chain(self._model)

    async def _admit(self) -> None:
        model = self._current_model
        worst = pricing.cost_micro_usd(model, Usage(self._own_input, self._max_output(model)))
        if spend.is_remembered():
            spend.admit_call(call_id=self.call_id, worst_case=worst)
        else:
            await in_thread(spend.admit_call, call_id=self.call_id, worst_case=worst)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close("stopped")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._outcome is not None:
            raise StopAsyncIteration
        try:
            text = await self._start() if self._source is None else await self._source.read()
        except ProviderError as error:
            self._close("failed", error)
            raise self._failure(error) from error
        if text:
            return text
        await self._finish()
        raise StopAsyncIteration

    async def _start(self) -> str:
        for position, model in enumerate(self._chain, start=1):
            try:
                return await self._try_model(model)
            except ProviderError as error:
                if not error.fallback or position == len(self._chain) or self._seconds_left() <= 0:
                    raise
        raise AssertionError("a chain has at least one model")

    async def _try_model(self, model: AIModel) -> str:
        circuit = runtime.circuit_of(model)
        for retries_left in range(settings.AI_MAX_RETRIES, -1, -1):
            if not circuit.admits():
                self._note(model, "circuit_open", None, time.monotonic())
                raise ProviderError("circuit_open", retryable=True, retry_after=circuit.seconds_left)
            try:
                return await self._attempt(model, circuit)
            except ProviderError as error:
                wait = self._wait_before_retry(error, settings.AI_MAX_RETRIES - retries_left)
                if not retries_left or wait is None:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _attempt(self, model: AIModel, circuit: Circuit) -> str:
        began = time.monotonic()
        self._model, self._circuit, self._lost = model, circuit, None
        try:
            self._source = await self._open(model)
            text = await self._source.read()
            if not text and self._source.state.finish != "refused":
                raise ProviderError("empty", "the reply has no text", http_status=200)
        except ProviderError as error:
            self._drop_failed_source(error)
            self._note(model, error.kind, error.http_status, began)
            metrics.ERRORS.labels(model.provider, error.kind).inc()
            raise
        circuit.answered()
        self._note(model, "ok", None, began)
        if text:
            self._first_token_ms = _milliseconds_since(self._started)
            metrics.FIRST_TOKEN_SECONDS.labels(model.provider).observe(self._first_token_ms / 1000)
        return text

    def _drop_failed_source(self, error: ProviderError) -> None:
        if self._circuit is not None:
            # A conversation the provider will not take says nothing about the provider.
            self._circuit.abandoned() if error.kind == "rejected" else self._circuit.failed()
            self._circuit = None
        if self._source is not None:
            self._lost = self._source.state
            self._source.close()
            self._source = None

    async def _open(self, model: AIModel) -> ProviderStream:
        temperature = self._request.temperature if model.supports_temperature else None
        max_output = self._max_output(model)
        call = ProviderCall(self._request, model.name, max_output, temperature, model.options)
        if model.provider == ProviderName.ECHO:
            return EchoStream(call)
        session = self._runtime.session() if self._runtime else runtime.current().session()
        # After the session, so that the HTTP client is loaded only where one is used.
        from ai.providers import http

        provider = registry.HTTP_PROVIDERS[model.provider]
        return await http.open_stream(
            session, provider.build(call), provider.make_decoder(), self._limits(), max_output
        )

    def _max_output(self, model: AIModel) -> int:
        return max(1, min(self._request.max_output_tokens, model.max_output_tokens))

    def _limits(self) -> Limits:
        return Limits(
            connect=settings.AI_CONNECT_TIMEOUT,
            first_token=settings.AI_FIRST_TOKEN_TIMEOUT,
            token_gap=settings.AI_TOKEN_GAP_TIMEOUT,
            deadline=self._started + settings.AI_TOTAL_TIMEOUT,
            max_bytes=settings.AI_MAX_RESPONSE_BYTES,
        )

    def _seconds_left(self) -> float:
        return self._started + settings.AI_TOTAL_TIMEOUT - time.monotonic()

    def _wait_before_retry(self, error: ProviderError, tries: int) -> float | None:
        """How long to wait before the same model is asked again; None where that is not to be."""
        if not error.retryable:
            return None
        wait = settings.AI_RETRY_BASE_SECONDS * 2**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if error.retry_after is not None:
            wait = max(wait, error.retry_after * random.uniform(1.0, 1.1))  # noqa: S311 - jitter
        return wait if wait <= min(settings.AI_RETRY_MAX_SECONDS, self._seconds_left()) else None

    def _note(self, model: AIModel, kind: str, http_status: int | None, began: float) -> None:
        self._attempts.append(
            Attempt(model.slug, model.provider, kind, http_status, _milliseconds_since(began))
        )

    async def _finish(self) -> None:
        source = self._source
        assert source is not None
        try:
            await source.finish()
        finally:
            self._close(source.state.finish or "complete")

    def _close(self, status: Status, error: BaseException | None = None) -> None:
        """Settle everything once: connection, circuit, place, spending, outcome."""
        if self._outcome is not None:
            return
        usage = self._usage(status)
        if self._source is not None and status in {"stopped", "failed"}:
            self._source.close()
        self._tell_circuit(status)
        if self._runtime is not None:
            self._runtime.give_place_back()
        model = self._current_model
        cost = pricing.cost_micro_usd(model, usage)
        spend.end_call(call_id=self.call_id, cost=cost)
        self._outcome = CallOutcome(
            call_id=self.call_id,
            model=model.slug,
            provider=model.provider,
            status=status,
            usage=usage,
            cost_micro_usd=cost,
            error_code=error.kind if isinstance(error, ProviderError) else "",
            error_detail=error.detail if isinstance(error, ProviderError) else "",
            first_token_ms=self._first_token_ms,
            duration_ms=_milliseconds_since(self._started),
            attempts=tuple(self._attempts),
        )

    def _tell_circuit(self, status: Status) -> None:
        circuit, self._circuit = self._circuit, None
        if circuit is None:
            return
        if status == "failed":
            circuit.failed()
        elif status == "stopped" and self._first_token_ms is None:
            circuit.abandoned()
        elif status != "stopped":
            circuit.succeeded()

    def _usage(self, status: Status) -> Usage:
        state = self._source.state if self._source is not None else self._lost
        if state is None and status == "stopped" and self._circuit is not None:
            # The request was under way, and so has been read by the provider.
            return Usage(self._own_input)
        if state is None or (self._source is None and state.usage.input_tokens is None):
            return Usage()
        model = self._current_model
        return pricing.believable_usage(
            state.usage,
            own_input=self._own_input,
            own_output=self._source.estimated_tokens if self._source is not None else 0,
            max_output=self._max_output(model),
            context_window=model.context_window,
        )

    def _failure(self, error: ProviderError) -> ProviderFailed:
        return ProviderFailed(
            error.kind,
            retryable=error.kind not in _LASTING,
            provider_detail=error.detail,
            retry_after=None if error.retry_after is None else max(1, math.ceil(error.retry_after)),
            outcome=self._outcome,
        )


def _milliseconds_since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1000)
