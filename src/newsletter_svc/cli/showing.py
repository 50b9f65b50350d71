"""How far an issue has come, shown while it goes out: a bar on a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from newsletter_svc.cli import reporting
from newsletter_svc.digests.progress import Progress

WINDOW_SECONDS = 30.0
"""The rate is that of so long a time at least, once so much of it has gone by."""

Show = Callable[[Progress], None]


@contextmanager
def display(*, quiet: bool) -> Iterator[Show]:
    """A progress bar on a terminal, plain lines elsewhere, nothing where a machine reads the answer."""
    console = Console()
    if quiet:
        yield lambda latest: None
    elif console.is_terminal and not console.is_dumb_terminal:
        with _bar(console) as show:
            yield show
    else:
        yield _Lines()


class Speed:
    """What the looks themselves tell of the rate: it counts every sender, and is known from the second look on."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def pace(self, latest: Progress, *, at: float) -> str:
        """`4,512 a second, 1 min 51 s left`, or nothing yet; `at` is a reading of a monotonic clock in seconds."""
        self._looks.append((at, latest.total - latest.to_send))
        while len(self._looks) > 2 and self._looks[1][0] <= at - WINDOW_SECONDS:
            self._looks.popleft()
        (begun, before), (_, now) = self._looks[0], self._looks[-1]
        rate = (now - before) / (at - begun) if at > begun else 0.0
        return reporting.pace(rate, latest.to_send / rate if latest.to_send else None) if rate > 0 else ""


@contextmanager
def _bar(console: Console) -> Iterator[Show]:
    # Imported where there is a bar to be drawn: cron's job has none, and begins the sooner.
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    speed = Speed()
    columns = (TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("send", total=None, pace="")

        def show(latest: Progress) -> None:
            pace = speed.pace(latest, at=time.monotonic())
            bar.update(task, total=latest.total, completed=latest.settled, pace=pace)

        yield show


class _Lines:
    """One line for each tenth of the way."""

    def __init__(self) -> None:
        self._speed = Speed()
        self._tenth = -1

    def __call__(self, latest: Progress) -> None:
        pace = self._speed.pace(latest, at=time.monotonic())
        tenth = 10 * latest.settled // latest.total if latest.total else 10
        if tenth > self._tenth:
            self._tenth = tenth
            click.echo(", ".join(filter(None, [f"{latest.settled:,} of {latest.total:,}", pace])))
