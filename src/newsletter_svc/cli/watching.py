"""Waiting until an issue is out: sending along, and showing how far it has come."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from newsletter_svc.clock import utcnow
from newsletter_svc.digests.progress import Progress, anything_unfinished, progress
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.logs import only_warnings
from newsletter_svc.parts import Parts

LOOK_SECONDS = 0.25
STALLED_SECONDS = 120.0
"""How long nothing may move before waiting ends: a mail server that is down or refuses us, seldom a slow one."""

Show = Callable[[Progress], None]


def send_and_wait(parts: Parts, digest_id: int, *, show: Show, stalled_seconds: float = STALLED_SECONDS) -> Progress:
    """Send along until nothing of the digest is due any more, nothing moves any more, or a signal ends it.

    Senders of other processes share the work: whoever claims a delivery first sends it.
    """
    threads = SenderThreads(parts.sender)
    with only_warnings(), _told_to_stop() as told:
        threads.start()
        try:
            _wait(parts, digest_id, show=show, told=told, stalled_seconds=stalled_seconds)
        finally:
            threads.stop()
    latest = _look(parts, digest_id)
    show(latest)
    return latest


def _wait(parts: Parts, digest_id: int, *, show: Show, told: threading.Event, stalled_seconds: float) -> None:
    settled, moved_at = -1, time.monotonic()
    while _anything_unfinished(parts, digest_id) and not told.is_set():
        latest = _look(parts, digest_id)
        show(latest)
        if latest.settled != settled or latest.in_flight:
            settled, moved_at = latest.settled, time.monotonic()
        if time.monotonic() - moved_at > stalled_seconds:
            return
        told.wait(LOOK_SECONDS)


def _look(parts: Parts, digest_id: int) -> Progress:
    with parts.database.reading() as session:
        return progress(session, digest_id)


def _anything_unfinished(parts: Parts, digest_id: int) -> bool:
    with parts.database.reading() as session:
        return anything_unfinished(session, digest_id, now=utcnow())


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


@contextmanager
def display(*, quiet: bool) -> Iterator[Show]:
    """A progress bar on a terminal, plain lines elsewhere, nothing where a machine reads the answer."""
    console = Console()
    if quiet:
        yield lambda latest: None
    elif console.is_terminal:
        with _bar(console) as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bar(console: Console) -> Iterator[Show]:
    columns = (TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("send", total=None)
        yield lambda latest: bar.update(task, total=latest.total, completed=latest.settled)


class _Lines:
    """One line for each tenth of the way."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, latest: Progress) -> None:
        tenth = 10 * latest.settled // latest.total if latest.total else 10
        if tenth > self._tenth:
            self._tenth = tenth
            click.echo(f"{latest.settled} of {latest.total}")
