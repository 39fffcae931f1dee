"""`/ws/chat/{session_id}/`: say, stop, resume, and see what other devices do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from uuid import UUID

import structlog
from django.utils.translation import gettext as _

from accounts.sockets import NOT_FOUND, CloseSocket, Malformed, Socket
from chat import metrics, payloads, selectors
from chat.eventlog.base import PAUSE, to_json
from chat.events import follow
from chat.models import ChatSession, Generation
from chat.runner import embedded
from chat.services import generations, messages, stopping
from chat.services.generations import Started, describe
from common.db import in_thread
from common.errors import Invalid, NotFound, RateLimited
from common.ids import parse_uuid

logger = structlog.get_logger("parlor.chat")

_MAX_FOLLOWED = 8


class ChatConsumer(Socket):
    session: ChatSession

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._following: dict[UUID, asyncio.Task[None]] = {}

    async def opened(self) -> None:
        name = self.scope["url_route"]["kwargs"]["session_id"]
        try:
            self.session, running = await in_thread(_open_session, self.user.pk, name)
        except NotFound:
            raise CloseSocket(NOT_FOUND) from None
        await embedded.ensure_started()
        metrics.SOCKETS.inc()
        await self.send_event(
            {
                "type": "session.ready",
                "session": payloads.session_payload(self.session),
                "running": [str(generation_id) for generation_id in running],
            }
        )

    async def closed(self) -> None:
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if hasattr(self, "session"):
            metrics.SOCKETS.dec()

    def groups(self) -> list[str]:
        return [f"session.{self.session.id}"]

    async def on_frame(self, frame: dict[str, Any]) -> None:
        kind = frame.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise Malformed(_("There is no such type."))
        await handler(self, frame)

    async def on_signal(self, event: dict[str, Any]) -> None:
        if event["type"] == "reply.created":
            await self._join(parse_uuid(event["generation_id"]))
        elif event["type"] == "session.deleted":
            raise CloseSocket(NOT_FOUND)
        elif event["type"] == "session.changed":
            await self.send_event(event)

    # --- Frames -------------------------------------------------------------------------------

    async def _ping(self, frame: dict[str, Any]) -> None:
        await self.send_event({"type": "pong"})

    async def _send_message(self, frame: dict[str, Any]) -> None:
        started = await self.act(
            messages.send_message,
            user_id=self.user.pk,
            session_id=self.session.id,
            content=frame.get("content"),
            client_id=frame.get("client_id"),
            parent_id=frame.get("parent"),
            attachments=frame.get("attachments"),
        )
        await self._show(started)

    async def _regenerate(self, frame: dict[str, Any]) -> None:
        request = await self.act(
            messages.regeneration_of,
            user_id=self.user.pk,
            message_id=frame.get("message_id"),
            client_id=frame.get("client_id"),
        )
        if request.session_id != self.session.id:
            raise NotFound
        room = await self.act(generations.make_room, request=request)
        if room.is_taken:
            await stopping.acancel_live_replies(self.session.id, but=request.client_id)
        await self._show(await self.act(generations.begin, request=request, rate=room.rate))

    async def _stop(self, frame: dict[str, Any]) -> None:
        generation_id = await self._own_generation(frame)
        await self.act(stopping.stop_generation, user_id=self.user.pk, generation_id=generation_id)

    async def _resume(self, frame: dict[str, Any]) -> None:
        after = frame.get("after", 0)
        if type(after) is not int or after < 0:
            raise Invalid.field("after", "invalid", _("Send the number of the last event you have."))
        generation_id = await self._own_generation(frame)
        running = self._following.get(generation_id)
        if running is not None:
            running.cancel()
        elif len(self._following) >= _MAX_FOLLOWED:
            raise RateLimited(_("Too many replies are followed on this socket."), retry_after=1)
        self._follow(generation_id, after=after)

    _handlers: ClassVar[dict[str, Callable[["ChatConsumer", dict[str, Any]], Awaitable[None]]]] = {
        "ping": _ping,
        "message.send": _send_message,
        "message.regenerate": _regenerate,
        "generation.stop": _stop,
        "generation.resume": _resume,
    }

    # --- Replies ------------------------------------------------------------------------------

    async def _show(self, started: Started) -> None:
        for event in payloads.created_events(started):
            await self.send_text(to_json(event))
        if started.generation.id not in self._following:
            self._follow(started.generation.id, is_fresh=started.is_new)

    async def _join(self, generation_id: UUID | None) -> None:
        """Another device, or another way in, began a reply in this chat."""
        if generation_id is None or generation_id in self._following:
            return
        started = await self.act(
            _describe, user_id=self.user.pk, session_id=self.session.id, generation_id=generation_id
        )
        if started is not None:
            await self._show(started)

    def _follow(self, generation_id: UUID, *, after: int = 0, is_fresh: bool = False) -> None:
        task = asyncio.create_task(self._relay(generation_id, after, is_fresh))
        self._following[generation_id] = task
        task.add_done_callback(lambda done: self._forget(generation_id, done))

    async def _relay(self, generation_id: UUID, after: int, is_fresh: bool) -> None:
        async for event in follow(generation_id, after=after, is_fresh=is_fresh):
            if event is not PAUSE:
                await self.send_text(event.json)

    def _forget(self, generation_id: UUID, task: "asyncio.Task[None]") -> None:
        if self._following.get(generation_id) is task:
            del self._following[generation_id]
        if not task.cancelled() and task.exception() is not None:
            logger.error("relay_failed", exc_info=task.exception())

    async def _own_generation(self, frame: dict[str, Any]) -> UUID:
        """The id of a generation of this very session. Raises NotFound."""
        generation: Generation = await self.act(
            selectors.get_generation, user_id=self.user.pk, generation_id=frame.get("generation_id")
        )
        if generation.session_id != self.session.id:
            raise NotFound
        return generation.id


def _open_session(user_id: UUID, session_id: str) -> tuple[ChatSession, list[UUID]]:
    session = selectors.get_session(user_id, session_id)
    return session, list(selectors.live_generations(session.id).values_list("id", flat=True))


def _describe(user_id: UUID, session_id: UUID, generation_id: UUID) -> Started | None:
    try:
        generation = selectors.get_generation(user_id, generation_id)
    except NotFound:
        return None
    return describe(generation) if generation.session_id == session_id else None
