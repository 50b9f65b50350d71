"""Hints to workers on any machine: where something may be due. They carry ids only, and may get lost."""

import atexit
import threading

import structlog
from celery import Celery

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.celery_app import HINT_SECONDS, Task, make_celery

EXIT_SECONDS = 2.0
"""How long a process that ends waits for a hint that is on its way."""

log = structlog.get_logger()


class Hints:
    """Sends hints. A broker that is away costs a warning: what is owed is in the ledger, and a sweep finds it."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def prepare(self) -> None:
        """Import what speaks to the broker, which Celery does at the first message only; nothing is connected."""
        self._celery.connection_for_write().get_transport_cls()

    def send(self, task: Task, *ids: int) -> bool:
        """Send one, within seconds; whether the broker has it."""
        try:
            self._celery.send_task(task.value, ids, expires=HINT_SECONDS)
        except Exception as error:  # Whatever it is, mail that is owed must not depend on it.
            log.warning("hint_not_sent", task=task.value, error=type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Let go of the broker."""
        self._celery.close()


class HintThread:
    """Sends hints for those who must not wait for a broker; many of one kind that wait are one.

    The thread begins with the first hint, so it may be made before a fork.
    """

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._changed = threading.Condition()
        self._waiting: set[Task] = set()
        self._is_busy = False
        self._thread: threading.Thread | None = None

    def __call__(self, lane: Lane | None = None) -> None:
        """Something is due. Without a lane the whole ledger is looked through, which sign-in mail need not cause."""
        self._add(Task.SEND_SINGLE if lane is Lane.TRANSACTIONAL else Task.SWEEP)

    def close(self) -> None:
        """Let go of the broker; a later hint connects anew."""
        self._hints.close()

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Wait until nothing is on its way; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._is_busy), timeout)

    def _add(self, task: Task) -> None:
        with self._changed:
            self._waiting.add(task)
            if self._thread is None or not self._thread.is_alive():
                # Not by the thread: a command ends right after its hint, and an interpreter that ends lets no module
                # make threads any more, which the client of Redis prepares for when it is imported.
                self._hints.prepare()
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()
                atexit.register(self.flush)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                taken, self._waiting, self._is_busy = self._waiting, set(), True
            for task in sorted(taken):
                self._hints.send(task)
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()


def hint_thread(broker_url: str) -> HintThread:
    """Return what wakes workers by this broker."""
    return HintThread(Hints(make_celery(broker_url)))
