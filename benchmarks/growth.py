"""What a hundred times as many readers cost: memory at its peak, and whether the pace holds."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import jobs, sinks, stores, tables
from benchmarks.jobs import Job, Outcome

READERS = (10_000, 1_000_000)


def main(*, sizes: tuple[int, ...] = READERS) -> None:
    """Print a table for SQLite, where sender and database share one process: its memory is all there is."""
    outcomes = [_measure(readers) for readers in sizes]
    first = outcomes[0]
    rows = [
        [
            f"{each.readers:,}",
            f"{each.cost.seconds:,.1f}",
            tables.rate(each.speed.per_second),
            f"{each.speed.cpu_micros:.0f}",
            tables.megabytes(each.peak_octets),
            tables.ratio(each.peak_octets, first.peak_octets),
        ]
        for each in outcomes
    ]
    heading = "Peak memory of the command and its children (VmHWM), SQLite"
    tables.show(heading, ["readers", "seconds", "mails/s", "CPU µs a mail", "peak", f"x {first.readers:,}"], rows)


def _measure(readers: int) -> Outcome:
    with tempfile.TemporaryDirectory() as name, sinks.sink(Path(name)) as sink:
        store = stores.Sqlite(Path(name), partial(jobs.fill, readers=readers))
        with store.copy() as url:
            return jobs.run(Job(readers), Path(name), url, sink)
