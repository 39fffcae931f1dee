"""What every websocket of ours shares: who calls, frames that may hold anything, signals, bounded sending.

An ASGI application of its own rather than a Channels consumer: it opens and works while the channel layer is
away (signals are only hints), and what it sends goes straight to the server.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from accounts import authentication
from accounts.authentication import Identity
from accounts.models import User, access_group
from common import realtime
from common.db import in_thread
from common.errors import (
    DomainError,
    Invalid,
    NotAuthenticated,
    RateLimited,
    Unavailable,
    as_socket_error,
)

logger = structlog.get_logger("parlor.sockets")

NORMAL = 1000
UNSUPPORTED_DATA = 1003
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
NOT_SIGNED_IN = 4401
NOT_FOUND = 4404
# The reader fell behind; it may come back and resume.
TOO_SLOW = 4408
TOO_MANY = 4429

MAX_FRAME_CHARACTERS = 256 * 1024
MAX_CLIENT_ID = 100
_FRAMES_PER_SECOND = 50.0
_FRAMES_AT_ONCE = 200.0
_PATIENCE_WITH_FLOODS = 300
_SIGNAL_RETRY_SECONDS = 1.0
_SIGNAL_TIMEOUT = 3.0
_CLOSE_SECONDS = 1.0
_LOOK_SECONDS = 2.0
_DATABASE_PAUSES = (0.1, 0.5, 2.0)
_SIGNALS_AWAY = (OSError, TimeoutError, RedisError)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_open: "set[Socket]" = set()
_open_by_user: Counter[Any] = Counter()
_watcher: "asyncio.Task[None] | None" = None


class CloseSocket(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Malformed(Invalid):
    code = "malformed"
    status = 400


class Socket:
    """One open websocket. Subclasses say what they listen to and what they do with frames and signals."""

    user: User
    identity: Identity

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._asgi_send = send
        self._writing = asyncio.Lock()
        # Frames and signals are handled one at a time.
        self._turn = asyncio.Lock()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stuck_since = 0.0
        self._is_gone = False
        self._allowance = _FRAMES_AT_ONCE
        self._last_frame_at = time.monotonic()
        self._flooded = 0

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
            await cls(scope, receive, send).run()

        return application

    # --- For subclasses -----------------------------------------------------------------------

    async def opened(self) -> None:
        """Check what the socket is about and greet; may raise CloseSocket."""

    async def closed(self) -> None:
        """End what was started for this socket."""

    def groups(self) -> list[str]:
        """Realtime groups to listen to; only ever named by ids that were checked."""
        return []

    async def on_frame(self, frame: dict[str, Any]) -> None:
        """A JSON object from the client; DomainErrors become `error` events."""

    async def on_signal(self, event: dict[str, Any]) -> None:
        """An event of one of the groups."""

    async def act(self, action: Callable[..., Any], /, **arguments: Any) -> Any:
        """Run a service for the caller, after looking whether they still may. One trip to the database."""
        return await in_thread(self._act, action, arguments)

    async def send_event(self, event: dict[str, Any]) -> None:
        await self.send_text(json.dumps(event, ensure_ascii=False, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Waits while the client does not read; its readers wait with it."""
        async with self._writing:
            if self._is_gone:
                return
            self._stuck_since = time.monotonic()
            try:
                await self._asgi_send({"type": "websocket.send", "text": text})
            except (OSError, RuntimeError):
                self._is_gone = True
                self.end(NORMAL)
            finally:
                self._stuck_since = 0.0

    def end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    def is_stuck(self, now: float) -> bool:
        return bool(self._stuck_since) and now - self._stuck_since > settings.CHAT_SLOW_READER_SECONDS

    # --- Its life -----------------------------------------------------------------------------

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        await self._asgi_send({"type": "websocket.accept"})
        realtime.use_running_loop()
        try:
            await self._identify()
        except CloseSocket as refused:
            await self._close(refused.code)
            return
        self._register()
        try:
            await self._live()
        finally:
            self._unregister()

    async def _live(self) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.opened()
            tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]
            watched: list[asyncio.Future[Any]] = [self._ended, *tasks]
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            self._report(tasks)
        except CloseSocket as refused:
            self.end(refused.code)
        except Exception as error:
            logger.error("socket_failed", exc_info=error)
            self.end(INTERNAL_ERROR)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.closed()
            if not self._is_gone:
                await self._close(self._ended.result() if self._ended.done() else INTERNAL_ERROR)

    def _report(self, tasks: list["asyncio.Task[None]"]) -> None:
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                if isinstance(error, CloseSocket):
                    self.end(error.code)
                else:
                    logger.error("socket_failed", exc_info=error)
                    self.end(INTERNAL_ERROR)

    async def _identify(self) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        try:
            self.user, self.identity = await in_thread(
                authentication.identify_socket,
                authorization=headers.get(b"authorization", ""),
                cookie=headers.get(b"cookie", ""),
                ticket=query.get("ticket", [""])[0],
            )
        except NotAuthenticated as error:
            raise CloseSocket(NOT_SIGNED_IN) from error
        except DatabaseError as error:
            raise CloseSocket(INTERNAL_ERROR) from error
        if _open_by_user[self.user.pk] >= settings.CHAT_SOCKETS_PER_USER:
            raise CloseSocket(TOO_MANY)

    def _register(self) -> None:
        global _watcher
        _open.add(self)
        _open_by_user[self.user.pk] += 1
        if _watcher is None or _watcher.done():
            _watcher = asyncio.create_task(_watch())

    def _unregister(self) -> None:
        _open.discard(self)
        _open_by_user[self.user.pk] -= 1
        if _open_by_user[self.user.pk] <= 0:
            del _open_by_user[self.user.pk]

    async def _close(self, code: int) -> None:
        self._is_gone = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._asgi_send({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError, TimeoutError):
            pass

    # --- Frames -------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._is_gone = True
                self.end(NORMAL)
                return
            if message["type"] == "websocket.receive":
                async with self._turn:
                    await self._handle(message)

    async def _handle(self, message: dict[str, Any]) -> None:
        text = message.get("text")
        if text is None:
            raise CloseSocket(UNSUPPORTED_DATA)
        if len(text) > MAX_FRAME_CHARACTERS:
            raise CloseSocket(TOO_BIG)
        client_id = None
        try:
            self._count_frame()
            frame = _parse(text)
            client_id = _echo(frame.get("client_id"))
            await self.on_frame(frame)
        except DomainError as error:
            await self.send_event(as_socket_error(error, client_id))
        except DatabaseError as error:
            logger.warning("socket_database_error", error=type(error).__name__)
            await self.send_event(as_socket_error(Unavailable(retry_after=2), client_id))

    def _count_frame(self) -> None:
        now = time.monotonic()
        refill = (now - self._last_frame_at) * _FRAMES_PER_SECOND
        self._allowance = min(_FRAMES_AT_ONCE, self._allowance + refill)
        self._last_frame_at = now
        if self._allowance < 1:
            self._flooded += 1
            if self._flooded > _PATIENCE_WITH_FLOODS:
                raise CloseSocket(POLICY_VIOLATION)
            raise RateLimited(retry_after=1)
        self._allowance -= 1
        self._flooded = max(0, self._flooded - 1)

    def _act(self, action: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if not authentication.still_allowed(self.identity):
            raise CloseSocket(NOT_SIGNED_IN)
        return action(**arguments)

    # --- Signals ------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Follow the groups, for ever: a channel layer that was away is joined again."""
        while True:
            try:
                await self._listen_once()
            except _SIGNALS_AWAY as error:
                logger.warning("signals_unavailable", error=type(error).__name__)
            await asyncio.sleep(_SIGNAL_RETRY_SECONDS)

    async def _listen_once(self) -> None:
        layer = get_channel_layer()
        async with asyncio.timeout(_SIGNAL_TIMEOUT):
            channel = await layer.new_channel()
            joined = [access_group(self.user.pk), *self.groups()]
            for group in joined:
                await layer.group_add(group, channel)
        # What was said before we listened is not heard.
        await self._check_access()
        try:
            while True:
                message = await layer.receive(channel)
                async with self._turn:
                    await self._take_signal(message["event"])
        finally:
            try:
                for group in joined:
                    await layer.group_discard(group, channel)
            except _SIGNALS_AWAY:
                pass

    async def _take_signal(self, event: dict[str, Any]) -> None:
        if event["type"] == "access.revoked":
            await self._check_access()
            return
        await _patiently(self.on_signal, event)

    async def _check_access(self) -> None:
        if not await _patiently(in_thread, authentication.still_allowed, self.identity):
            raise CloseSocket(NOT_SIGNED_IN)


async def _patiently(step: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Nobody asks again for what a signal brought, so a database that is coming back is waited for."""
    for pause in _DATABASE_PAUSES:
        try:
            return await step(*arguments)
        except DatabaseError as error:
            logger.warning("socket_database_error", error=type(error).__name__)
            await asyncio.sleep(pause)
    return await step(*arguments)


def _parse(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed(_("The frame is not JSON.")) from None
    if not isinstance(frame, dict):
        raise Malformed(_("A frame is a JSON object with a type."))
    return frame


def _echo(client_id: Any) -> str | None:
    """What an error may repeat of the client's own name for its request."""
    is_fit = isinstance(client_id, str) and len(client_id) <= MAX_CLIENT_ID and client_id.isprintable()
    return client_id if is_fit else None


async def _watch() -> None:
    """Ends sockets that do not read, and those whose owner lost access when no signal said so."""
    while _open:
        await asyncio.sleep(min(_LOOK_SECONDS, settings.CHAT_SLOW_READER_SECONDS))
        now = time.monotonic()
        for socket in [socket for socket in _open if socket.is_stuck(now)]:
            logger.warning("socket_too_slow")
            socket.end(TOO_SLOW)
        await _end_revoked(list(_open))


async def _end_revoked(sockets: "list[Socket]") -> None:
    """Signals may be lost, so the database is asked for all open sockets together."""
    try:
        revoked = await in_thread(authentication.revoked_among, {socket.identity for socket in sockets})
    except DatabaseError as error:
        logger.warning("access_not_checked", error=type(error).__name__)
        return
    for socket in sockets:
        if socket.identity in revoked:
            socket.end(NOT_SIGNED_IN)
