"""Chats for tests, made the way people make them, and a runner to answer in them."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

from accounts.models import User
from accounts.tests.factories import make_user
from billing.services import adjustments
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


def new_id() -> str:
    return uuid4().hex


class RunnerThread:
    """The embedded runner on an event loop of its own, for tests that use the synchronous client."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="test-runner", daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(embedded.start(), self.loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _stop(self) -> None:
        from ai import gateway

        await embedded.stop()
        await gateway.aclose()
