"""`manage.py run_generations`: makes replies in a process of its own. Start as many as needed."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ai import gateway
from chat.eventlog.current import close_event_log, event_log
from chat.runner.runner import Runner
from common.db import close_thread_pool


class Command(BaseCommand):
    help = "Makes queued replies until it is told to end (SIGTERM gives running ones time to finish)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--capacity", type=int, default=settings.CHAT_RUNNER_CAPACITY)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.REDIS_URL:
            raise CommandError("A runner of its own needs Redis to reach the readers: set REDIS_URL.")
        if options["capacity"] < 1:
            raise CommandError("The capacity must be at least 1.")
        asyncio.run(run_until_told(options["capacity"]))
        close_thread_pool()


async def run_until_told(capacity: int) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    runner = Runner(log=event_log(), capacity=capacity)
    await runner.start()
    await told.wait()
    await runner.drain(settings.SHUTDOWN_GRACE_SECONDS)
    await runner.stop()
    await close_event_log()
    await gateway.aclose()
