"""What the gateway keeps between calls: for each event loop its connections and its places, for the process
its circuit breakers."""

import asyncio
from typing import TYPE_CHECKING

from django.conf import settings

from ai import metrics
from ai.circuit import Circuit
from ai.models import AIModel
from ai.providers.base import ProviderError

if TYPE_CHECKING:
    import aiohttp


class LoopRuntime:
    def __init__(self) -> None:
        self._places = asyncio.Semaphore(settings.AI_MAX_CALLS_IN_FLIGHT)
        self._session: aiohttp.ClientSession | None = None

    async def take_place(self) -> None:
        """Wait, not for ever, until fewer calls are in flight than allowed. Raises ProviderError."""
        try:
            async with asyncio.timeout(settings.AI_PLACE_TIMEOUT):
                await self._places.acquire()
        except TimeoutError:
            raise ProviderError("busy", "every place for a call is taken", retryable=True) from None
        metrics.IN_FLIGHT.inc()

    def give_place_back(self) -> None:
        self._places.release()
        metrics.IN_FLIGHT.dec()

    def session(self) -> "aiohttp.ClientSession":
        if self._session is None or self._session.closed:
            # Not at the top: a process that only ever echoes does without the HTTP client.
            from ai.providers.http import make_session

            self._session = make_session(settings.AI_MAX_CALLS_IN_FLIGHT)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


_runtimes: dict[asyncio.AbstractEventLoop, LoopRuntime] = {}
_circuits: dict[tuple[str, str], Circuit] = {}


def current() -> LoopRuntime:
    loop = asyncio.get_running_loop()
    runtime = _runtimes.get(loop)
    if runtime is None:
        for closed in [other for other in _runtimes if other.is_closed()]:
            del _runtimes[closed]
        runtime = _runtimes[loop] = LoopRuntime()
    return runtime


def circuit_of(model: AIModel) -> Circuit:
    key = (model.provider, model.name)
    circuit = _circuits.get(key)
    if circuit is None:
        circuit = _circuits[key] = Circuit(settings.AI_BREAKER_FAILURES, settings.AI_BREAKER_SECONDS)
    return circuit


def forget_circuits() -> None:
    _circuits.clear()


async def aclose() -> None:
    """Close this loop's connections to providers; the next call opens new ones."""
    runtime = _runtimes.pop(asyncio.get_running_loop(), None)
    if runtime is not None:
        await runtime.close()
