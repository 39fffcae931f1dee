"""Celery's worker and beat as threads of the one web process, for running without Redis."""

import atexit
import threading

from celery.beat import Scheduler, Service
from celery.worker import WorkController

from config.celery import app

_worker: WorkController | None = None
_beat: Service | None = None


def start() -> None:
    """Start both; `WorkController` rather than the command line's worker, which would take the signals."""
    global _worker, _beat
    if _worker is not None:
        return
    _worker = WorkController(
        app=app,
        pool_cls="threads",
        concurrency=4,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        hostname="embedded@localhost",
        quiet=True,
    )
    _beat = Service(app, scheduler_cls=Scheduler, max_interval=1)
    threading.Thread(target=_worker.start, name="celery-worker", daemon=True).start()
    threading.Thread(
        target=_beat.start, kwargs={"embedded_process": False}, name="celery-beat", daemon=True
    ).start()
    # Servers without lifespan events never call stop().
    atexit.register(stop)


def stop() -> None:
    global _worker, _beat
    worker, beat, _worker, _beat = _worker, _beat, None, None
    if beat is not None:
        beat.stop(wait=False)
    if worker is not None:
        worker.stop()
