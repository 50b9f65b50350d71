"""Celery as this service uses it: names of tasks and queues, and what all its nodes agree on.

Imported only where BROKER_URL is set: Celery takes its time to start.
"""

from enum import StrEnum

from celery import Celery

HINT_SECONDS = 600.0
"""After this a hint that nobody took is void: a sweep has said the same since. Clocks of machines may differ."""
_BROKER_SECONDS = 2.0
_REPLY_SECONDS = 5.0


class Queue(StrEnum):
    SIGNIN = "signin"
    BULK = "bulk"
    CHORES = "chores"
    """What is neither: looking around, making issues, throwing away."""


class Task(StrEnum):
    SEND_SINGLE = "newsletter.send_single"
    CARRY = "newsletter.carry"
    SWEEP = "newsletter.sweep"
    RUN_DUE = "newsletter.run_due"
    PURGE = "newsletter.purge"


_QUEUES = {
    Task.SEND_SINGLE: Queue.SIGNIN,
    Task.CARRY: Queue.BULK,
    Task.SWEEP: Queue.CHORES,
    Task.RUN_DUE: Queue.CHORES,
    Task.PURGE: Queue.CHORES,
}


def make_celery(broker_url: str) -> Celery:
    """Return the application. It knows no tasks yet: who only sends hints needs none."""
    celery = Celery("newsletter", broker=broker_url, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        # The ledger says how everything ended.
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # A hint is not worth waiting for; only nodes wait, for as long as the broker is away.
        task_publish_retry=False,
        broker_connection_timeout=_BROKER_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_connect_timeout": _BROKER_SECONDS,
            "socket_timeout": _REPLY_SECONDS,
            "max_retries": 0,
        },
        # Nobody asks nodes anything, and without it two of them on one machine need no names of their own.
        worker_enable_remote_control=False,
        task_routes={task.value: {"queue": queue.value} for task, queue in _QUEUES.items()},
    )
    return celery
