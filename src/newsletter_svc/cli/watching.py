"""Waiting until an issue is out: sending along, and looking how far it has come."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy.exc import OperationalError

from newsletter_svc.cli.showing import Show
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import steering
from newsletter_svc.digests.progress import Report, anything_unfinished, progress, report
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.logs import only_warnings
from newsletter_svc.parts import Parts

LOOK_SECONDS = 0.05
COUNTING_SHARE = 50
"""Counting a million rows costs the database something. Between two counts passes so many times what one took."""
STALLED_SECONDS = 120.0
"""How long nothing may move before waiting ends: a mail server that is down or refuses us, seldom a slow one."""


class Senders(Protocol):
    """Who sends meanwhile: a crew of processes, or threads of this one."""

    def has_ended(self) -> bool: ...

    def stop(self) -> bool: ...


def send_and_wait(parts: Parts, digest_id: int, *, show: Show, stalled_seconds: float = STALLED_SECONDS) -> Report:
    """Send along in threads until nothing of the digest is due or moves any more, it is held, or a signal ends it."""
    senders = SenderThreads(parts.sender, parts.bulk)
    with only_warnings():
        senders.start()
        return wait_for(senders, parts, digest_id, show=show, stalled_seconds=stalled_seconds)


def wait_for(
    senders: Senders, parts: Parts, digest_id: int, *, show: Show, stalled_seconds: float = STALLED_SECONDS
) -> Report:
    """Wait as long as these senders, which run, have something to do for the digest; then stop them.

    Senders of other processes share the work: whoever claims a delivery first sends it.
    """
    with _told_to_stop() as told:
        try:
            _Watch(parts, digest_id, show, stalled_seconds).wait(told, has_nobody=senders.has_ended)
        finally:
            senders.stop()
            # Where it was cancelled meanwhile, what our sender had in stock has just come back.
            steering.end_rest(parts.database, digest_id, now=utcnow())
    with parts.database.reading() as session:
        latest = report(session, digest_id, now=utcnow())
    show(latest.progress)
    return latest


class _Watch:
    """Looks often whether all is over, which is cheap, and counts now and then."""

    def __init__(self, parts: Parts, digest_id: int, show: Show, stalled_seconds: float) -> None:
        self._parts = parts
        self._digest_id = digest_id
        self._show = show
        self._stalled_seconds = stalled_seconds
        self._settled = -1
        self._moved_at = self._count_at = time.monotonic()

    def wait(self, told: threading.Event, *, has_nobody: Callable[[], bool]) -> None:
        """Return when there is nothing more to wait for, or nobody who sends, or as soon as `told` is set."""
        while not (told.is_set() or has_nobody()):
            try:
                if self._is_over():
                    return
            except OperationalError:
                # The senders wait for a database that is locked or gone, and go on when it is back.
                if self._has_stalled():
                    raise
            told.wait(LOOK_SECONDS)

    def _is_over(self) -> bool:
        if time.monotonic() >= self._count_at:
            self._count()
        with self._parts.database.reading() as session:
            is_unfinished = anything_unfinished(session, self._digest_id, now=utcnow())
        return not is_unfinished or self._has_stalled()

    def _count(self) -> None:
        """Show how far it has come."""
        begun = time.monotonic()
        with self._parts.database.reading() as session:
            latest = progress(session, self._digest_id, now=utcnow())
        self._count_at = time.monotonic() + COUNTING_SHARE * (time.monotonic() - begun)
        self._show(latest)
        if latest.settled != self._settled or latest.in_flight:
            self._settled, self._moved_at = latest.settled, time.monotonic()

    def _has_stalled(self) -> bool:
        return time.monotonic() - self._moved_at > self._stalled_seconds


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM or Ctrl-C sets, so that what is in flight can end first."""
    told = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: told.set()) for number in numbers]
    try:
        yield told
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
