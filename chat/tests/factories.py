"""Chats for tests, made the way people make them, and a runner to answer in them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from django.db import connection

from accounts.models import User
from accounts.tests.factories import make_user
from billing.selectors import get_wallet
from billing.services import adjustments, holds
from chat.models import ChatSession
from chat.runner import embedded
from chat.services.sessions import create_session
from personas.models import Persona
from personas.tests.factories import make_persona


def make_talker(tier: str = "vip", **fields: Any) -> User:
    """A user with a tier that meets no limit by accident."""
    user = make_user(**fields)
    if tier != "free":
        adjustments.set_tier(user_id=user.pk, tier=tier, reason="A test")
    return user


def make_chat(user: User | None = None, persona: Persona | None = None, **fields: Any) -> ChatSession:
    user = user or make_talker()
    persona = persona or make_persona(status="published", **fields)
    return create_session(user_id=user.pk, persona_id=persona.pk)


def leave_exactly(user: User, amount: int) -> None:
    """Reserve everything but `amount` microcredits for something else."""
    holds.reserve_credits(
        user_id=user.pk, amount=get_wallet(user.pk).available - amount, reference="other", key=new_id()
    )


def in_parallel(function: Callable[..., Any], items: Iterable[Any], threads: int = 10) -> list[Any]:
    """The answers of `function` for each item, asked for at the same time."""

    def call(item: Any) -> Any:
        try:
            return function(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, items))


def new_id() -> str:
    return uuid4().hex


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class RunnerThread:
    """The embedded runner on an event loop of its own, for tests that use the synchronous client."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="test-runner", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(embedded.start(), self.loop).result(10)

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        loop, thread = self.loop, self._thread
        if loop is None or thread is None:
            return
        self.loop = None
        asyncio.run_coroutine_threadsafe(self._stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    def _run(self) -> None:
        assert self.loop is not None
        loop = self.loop
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def _stop(self) -> None:
        from ai import gateway

        await embedded.stop()
        await gateway.aclose()
