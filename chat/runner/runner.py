"""The runner: takes queued generations, makes their replies, keeps its leases, and ends well.

It is asyncio code that lives in the web process or in processes of its own; any number may run.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError

from chat import metrics, wakeups
from chat.eventlog.base import EventLog
from chat.runner import reaping
from chat.runner.listener import Listener
from chat.runner.reply import RunningReply
from chat.services import leases
from common.db import in_thread
from common.errors import Unavailable
from common.ids import uuid7

logger = structlog.get_logger("parlor.runner")

_LOOK_SECONDS = 2.0
_SAVE_SECONDS = 1.0
_CLAIM_BATCH = 20
_LAST_WORDS_SECONDS = 5.0


class Runner:
    def __init__(self, *, log: EventLog, capacity: int) -> None:
        self.owner = f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid7().hex[-8:]}"
        self._log = log
        self._capacity = capacity
        self._replies: dict[UUID, RunningReply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._work = asyncio.Event()
        self._is_draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def running(self) -> int:
        return len(self._tasks)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        listener = Listener(on_work=self._work.set, on_stop=self._stop_reply, on_connect=self._look_around)
        self._chores = [
            asyncio.create_task(listener.run(), name="runner-listener"),
            asyncio.create_task(self._claim_forever(), name="runner-claims"),
            asyncio.create_task(self._every(_SAVE_SECONDS, self._save_progress), name="runner-saves"),
            asyncio.create_task(
                self._every(settings.CHAT_HEARTBEAT_SECONDS, self._renew), name="runner-heartbeat"
            ),
            asyncio.create_task(
                self._every(settings.CHAT_HEARTBEAT_SECONDS, self._reap), name="runner-reaper"
            ),
        ]
        wakeups.set_local_runner(self._wake_from_any_thread)
        logger.info("runner_started", owner=self.owner, capacity=self._capacity)

    async def drain(self, grace: float) -> None:
        """Take nothing new, give running replies `grace` seconds to end, then save what they have."""
        self._is_draining = True
        wakeups.set_local_runner(None)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for reply in list(self._replies.values()):
            reply.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_SECONDS)

    async def stop(self) -> None:
        """End at once: running replies are saved as interrupted."""
        await self.drain(0)
        for task in [*self._chores, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._chores, *self._tasks, return_exceptions=True)
        self._chores = []
        logger.info("runner_stopped", owner=self.owner)

    # --- Taking work --------------------------------------------------------------------------

    def _wake_from_any_thread(self) -> bool:
        """Whether this runner takes new work now; called by whoever queued some."""
        loop = self._loop
        if loop is None or loop.is_closed() or self._is_draining or len(self._tasks) >= self._capacity:
            return False
        loop.call_soon_threadsafe(self._work.set)
        return True

    def _look_around(self) -> None:
        """After a connection was lost, signals were too."""
        self._work.set()
        self._start_soon(self._renew())

    async def _claim_forever(self) -> None:
        while not self._is_draining:
            self._work.clear()
            free = self._capacity - len(self._tasks)
            taken = await self._claim(min(free, _CLAIM_BATCH)) if free > 0 else 0
            if taken == 0 or taken >= free:
                await self._wait_for_work()

    async def _claim(self, limit: int) -> int:
        try:
            jobs = await in_thread(leases.claim, owner=self.owner, limit=limit)
        except (DatabaseError, Unavailable) as error:
            logger.warning("claim_failed", error=type(error).__name__)
            await asyncio.sleep(1)
            return 0
        for job in jobs:
            reply = RunningReply(job, owner=self.owner, producer=self._log.produce(job.generation_id))
            self._replies[job.generation_id] = reply
            self._start_soon(self._make(reply))
        metrics.RUNNING.set(len(self._replies))
        return len(jobs)

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._work.wait()
        except TimeoutError:
            pass

    async def _make(self, reply: RunningReply) -> None:
        try:
            await reply.run()
        finally:
            self._replies.pop(reply.id, None)
            metrics.RUNNING.set(len(self._replies))
            self._work.set()

    def _start_soon(self, coroutine: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("runner_task_failed", exc_info=task.exception())

    # --- Keeping it ---------------------------------------------------------------------------

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await chore()
            except (DatabaseError, Unavailable) as error:
                logger.warning("chore_failed", chore=chore.__name__, error=type(error).__name__)
            except Exception as error:
                logger.error("chore_failed", chore=chore.__name__, exc_info=error)
            await asyncio.sleep(seconds)

    async def _save_progress(self) -> None:
        rows = []
        for reply in self._replies.values():
            if reply.producer.seq > reply.saved_seq and not reply.is_finishing:
                rows.append(reply.progress())
        if not rows:
            return
        answers = await in_thread(leases.save_progress, owner=self.owner, rows=rows)
        for row in rows:
            if (saved := self._replies.get(row.generation_id)) is not None:
                saved.saved_seq = len(row.delta_lengths)
        self._obey(answers, {row.generation_id for row in rows})

    async def _renew(self) -> None:
        held = set(self._replies)
        if held:
            self._obey(await in_thread(leases.renew, owner=self.owner), held)

    def _obey(self, answers: dict[UUID, bool], asked: set[UUID]) -> None:
        """Stop what shall be stopped; leave alone what is no longer ours."""
        for generation_id in asked:
            reply = self._replies.get(generation_id)
            if reply is None or reply.is_finishing:
                continue
            if generation_id not in answers:
                logger.warning("lease_lost", generation=str(generation_id))
                reply.abandon()
            elif answers[generation_id]:
                reply.stop()

    def _stop_reply(self, generation_id: UUID) -> None:
        reply = self._replies.get(generation_id)
        if reply is not None:
            reply.stop()

    async def _reap(self) -> None:
        await reaping.reap_abandoned(self._log, owner=self.owner)
