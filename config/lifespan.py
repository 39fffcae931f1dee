"""What a web process starts and ends besides answering: the runner, the in-process jobs, the drain."""

import asyncio
import gc
from typing import Any

import structlog
from django.conf import settings

from ai import gateway
from billing.stores import sandbox
from chat.runner import embedded as embedded_runner
from common import db, health
from config.embedded import workers
from config.embedded.single import SingleProcessLock

logger = structlog.get_logger("parlor.lifespan")


class Lifespan:
    """The lifespan protocol of ASGI (https://asgi.readthedocs.io/en/latest/specs/lifespan.html)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await start()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


_single_process = SingleProcessLock()


async def start() -> None:
    if not settings.REDIS_URL:
        await _single_process.acquire()
        # Starting a worker closes database connections, which the event loop must not do.
        await asyncio.to_thread(workers.start)
    if settings.BILLING_SANDBOX:
        await asyncio.to_thread(sandbox.start)
    if settings.CHAT_RUNNER_IN_WEB:
        await embedded_runner.start()
    # What is loaded by now stays: the collector need not walk through it again while replies stream.
    gc.collect()
    gc.freeze()


async def drain() -> None:
    """Say goodbye before the server stops: no new work, running replies get their grace time."""
    health.start_draining()
    if settings.CHAT_RUNNER_IN_WEB:
        await embedded_runner.drain(settings.SHUTDOWN_GRACE_SECONDS)


async def stop() -> None:
    if settings.CHAT_RUNNER_IN_WEB:
        await embedded_runner.stop()
    await gateway.aclose()
    sandbox.stop()
    workers.stop()
    await _single_process.release()
    db.close_thread_pool()
    logger.info("stopped")
