"""A node: the Celery worker of one process, with its tasks and with the care for what it has claimed."""

import os
import threading
from collections.abc import Callable
from functools import partial

import structlog
from celery import Celery, signals

from newsletter_svc import logs
from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.care import Care
from newsletter_svc.jobs.celery_app import Queue, Task
from newsletter_svc.jobs.duties import Duties

LOOK_SECONDS = 5.0
"""How often a node for sign-in mail looks by itself: a reader waits, and a hint may be lost or the broker away."""

log = structlog.get_logger()


# Each lane has processes of its own, so that a digest never takes a place from sign-in mail.
_QUEUES = {Lane.TRANSACTIONAL: (Queue.SIGNIN, Queue.CHORES), Lane.BULK: (Queue.BULK,)}
_THREADS = {
    # Three for mail, so that a server that hangs at one does not keep the others; and one that chores may take.
    Lane.TRANSACTIONAL: 4,
    # The bulk engine has many connections by itself.
    Lane.BULK: 1,
}


def run_node(celery: Celery, duties: Duties, *, lane: Lane) -> int:
    """Work until SIGTERM or Ctrl-C, and let what is in flight end; return the exit code."""
    register(celery, duties)
    signals.setup_logging.connect(lambda **_: logs.configure_libraries(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: duties.stop(), weak=False)
    signals.worker_ready.connect(lambda **_: _begin(duties, lane), weak=False)
    Care(duties.sender, found=partial(duties.hints.send, Task.SWEEP)).start()
    if lane is Lane.TRANSACTIONAL:
        threading.Thread(target=_look, args=(duties,), name="look", daemon=True).start()
    worker = celery.Worker(
        hostname=f"{lane}.{os.getpid()}@%h",
        pool="threads",
        concurrency=_THREADS[lane],
        queues=[queue.value for queue in _QUEUES[lane]],
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    return worker.exitcode or 0


def register(celery: Celery, duties: Duties) -> None:
    """Say what each task does."""
    for task, duty in (
        (Task.SEND_SINGLE, duties.send_single),
        (Task.CARRY, duties.carry),
        (Task.SWEEP, duties.sweep),
        (Task.RUN_DUE, duties.run_due),
        (Task.PURGE, duties.purge),
    ):
        celery.task(safely(task, duty), name=task.value)


def safely(task: Task, duty: Callable[..., None]) -> Callable[..., None]:
    """Return the duty as a task. One that fails is not tried again by Celery: a sweep finds what is still due."""

    def run(*ids: int) -> None:
        try:
            duty(*ids)
        except Exception as error:
            # The class only: the text of a database error quotes rows, and rows hold addresses.
            log.error("task_failed", task=task.value, ids=ids, error=type(error).__name__)

    return run


def _begin(duties: Duties, lane: Lane) -> None:
    """What is due already is not waited for."""
    log.info("node_ready", lane=lane)
    duties.hints.send(Task.SWEEP)


def _look(duties: Duties) -> None:
    look = safely(Task.SEND_SINGLE, duties.send_single)
    while not duties.sender.stopping.wait(LOOK_SECONDS):
        look()
