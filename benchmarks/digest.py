"""A digest's whole job, beside the Flask-Mail loop and `smtp-source`: one run, one sink, mails of the same size.

SQLite and PostgreSQL, without and with DKIM, without a round trip and with one of 20 ms.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import generators, jobs, sinks, stores, tables
from benchmarks.flask_mail_loop import FlaskMailLoop
from benchmarks.jobs import Job
from benchmarks.sinks import Sink
from benchmarks.stores import Store
from benchmarks.ways import Speed, Speeds, Way, in_turn

READERS = 20_000
ROUNDS = 3
LOOP_READERS, DISTANT_LOOP_READERS = 500, 40
"""The loop is slow and steady: a part of the readers tells its rate."""
DISTANT_SOURCE_MAILS = 4_000
ROUND_TRIP_MS = 20
DISTANT_CONNECTIONS = 100

LOOP = "Flask-Mail, both templates rendered for each reader, one connection"
SOURCE = "`smtp-source`"
FEED = "a client in C that pipelines constant octets"
SIGNATURES = "`cryptography` alone, RSA-2048, a process for each core"


def main(*, readers: int = READERS, rounds: int = ROUNDS) -> None:
    """Print a table for each round trip time."""
    with bench(readers) as near, sinks.sink(near.folder, round_trip_ms=ROUND_TRIP_MS) as far_sink:
        far = Bench(near.folder, near.stores, far_sink, near.loop, readers, near.pem)
        _show("no round trip", near_ways(near), rounds, connections=jobs.CONNECTIONS, readers=readers)
        title = f"{ROUND_TRIP_MS} ms round trips"
        _show(title, far_ways(far), rounds, connections=DISTANT_CONNECTIONS, readers=readers)


@dataclass(frozen=True)
class Bench:
    """What all ways share."""

    folder: Path
    stores: Sequence[Store]
    sink: Sink
    loop: FlaskMailLoop
    readers: int
    pem: bytes

    def job(self, store: Store, *, connections: int, is_signed: bool) -> Speed:
        """Run the whole job on a fresh copy of this database."""
        job = Job(self.readers, connections, generators.signing(self.folder, self.pem) if is_signed else {})
        with store.copy() as url, tempfile.TemporaryDirectory(dir=self.folder) as own:
            return jobs.run(job, Path(own), url, self.sink).speed


@contextmanager
def bench(readers: int) -> Iterator[Bench]:
    """Databases with so many readers, and a sink, in a folder that vanishes."""
    fill: stores.Fill = partial(jobs.fill, readers=readers)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found: list[Store] = [stores.Sqlite(folder, fill)]
        server = stack.enter_context(stores.postgres_server())
        if server is not None:
            found.append(stores.Postgres(server, fill))
        sink = stack.enter_context(sinks.sink(folder))
        loop = FlaskMailLoop(jobs.settings(f"sqlite:///{folder}/filled.db"), size=jobs.SIZE)
        yield Bench(folder, found, sink, loop, readers, generators.private_key())


def near_ways(bench: Bench) -> list[Way]:
    """Everything side by side, into a sink that answers at once."""
    size, connections = jobs.SIZE, jobs.CONNECTIONS
    source = partial(generators.smtp_source, bench.sink, bench.readers, size=size, connections=connections)
    feed = partial(generators.feed, bench.folder, bench.sink, 2 * bench.readers, size=size, connections=connections)
    return [
        Way(LOOP, partial(bench.loop.run, bench.sink, LOOP_READERS)),
        Way(SOURCE, source),
        Way(FEED, feed),
        *_jobs(bench, connections=connections),
        Way(SIGNATURES, partial(generators.signatures, bench.pem)),
    ]


def far_ways(bench: Bench) -> list[Way]:
    """The same into a sink that is a round trip away."""
    source = partial(
        generators.smtp_source, bench.sink, DISTANT_SOURCE_MAILS, size=jobs.SIZE, connections=DISTANT_CONNECTIONS
    )
    return [
        Way(LOOP, partial(bench.loop.run, bench.sink, DISTANT_LOOP_READERS)),
        Way(SOURCE, source),
        *_jobs(bench, connections=DISTANT_CONNECTIONS),
    ]


def _jobs(bench: Bench, *, connections: int) -> Iterator[Way]:
    for is_signed in (False, True):
        for store in bench.stores:
            name = f"whole job, {store.name}{', DKIM' if is_signed else ''}"
            yield Way(name, partial(bench.job, store, connections=connections, is_signed=is_signed))


def _show(title: str, ways: Sequence[Way], rounds: int, *, connections: int, readers: int) -> None:
    speeds = in_turn(ways, rounds=rounds)
    heading = f"{readers:,} readers, mails of {jobs.SIZE // 1000} KB, {connections} connections, {title}"
    columns = ["way", "mails/s", "of the rounds", "CPU µs", "x Flask-Mail", "x `smtp-source`", "x `cryptography`"]
    bases = [_median(speeds.get(name)) for name in (LOOP, SOURCE, SIGNATURES)]
    rows = [
        [
            name,
            tables.rate(each.median),
            each.span,
            f"{each.cpu_micros:,.0f}",
            *(tables.ratio(each.median, base) for base in bases),
        ]
        for name, each in speeds.items()
    ]
    for row in rows:
        if "DKIM" not in row[0]:
            row[-1] = ""
    tables.show(heading, columns, rows)


def _median(speeds: Speeds | None) -> float | None:
    return speeds.median if speeds else None
