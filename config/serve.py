"""The web server: uvicorn, with a drain before it stops.

uvicorn alone closes every socket the moment it is told to stop. Here the first signal fails readiness and
lets running replies end (within the grace time); then uvicorn stops, telling sockets to come back (1012).
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from django.conf import settings

from config.supervisor import Supervisor, inherited_socket

STOP_SECONDS = 5


class DrainingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._drain: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self.started and self._when_ready is not None:
            self._when_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._captured_signals.append(sig)
        if self._loop is None or self._drain is not None:
            self.should_exit = True
            self.force_exit = self.force_exit or sig == signal.SIGINT
            return
        self._loop.call_soon_threadsafe(self._start_draining)

    def _start_draining(self) -> None:
        if self._drain is None:
            self._drain = asyncio.ensure_future(self._drain_then_exit())

    async def _drain_then_exit(self) -> None:
        from config import lifespan

        try:
            await lifespan.drain()
        finally:
            self.should_exit = True


def serve(when_ready: Callable[[], None] | None = None) -> None:
    """Serve until a signal; WEB_CONCURRENCY processes share one socket."""
    config = uvicorn.Config(
        "config.asgi:application",
        host=settings.HOST,
        port=settings.PORT,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="on",
        # Whom to believe about the caller's address is decided by PARLOR_TRUSTED_PROXIES alone.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        access_log=False,
        log_config=None,
        ws_max_size=256 * 1024,
        ws_max_queue=16,
        # Compression of short frames costs every socket a window of its own and saves next to nothing.
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        h11_max_incomplete_event_size=32 * 1024,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    listener = inherited_socket()
    if listener is None and settings.WEB_CONCURRENCY > 1:
        Supervisor(config.bind_socket(), settings.WEB_CONCURRENCY).run()
    else:
        DrainingServer(config, when_ready).run(sockets=[listener] if listener else None)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("check", fail_level="ERROR")
    serve()


if __name__ == "__main__":
    main()
