"""Two workers beside one, on PostgreSQL: how much sooner the same digest is out."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import func, select

from benchmarks import jobs, machine, service, sinks, stores, tables
from benchmarks.jobs import Job, WrongResult
from benchmarks.sinks import Sink
from benchmarks.stores import Store
from benchmarks.ways import Speed, Way, in_turn
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Status

READERS = 20_000
ROUNDS = 3
CONNECTIONS = 20
ROUND_TRIP_MS = 20
LONGEST_SECONDS = 600
LOOK_SECONDS = 0.05


def main(*, readers: int = READERS, rounds: int = ROUNDS) -> None:
    """Print a table for each round trip time; nothing where PostgreSQL is not installed."""
    with stores.postgres_server() as server, tempfile.TemporaryDirectory() as name:
        if server is None:
            print("\nTwo workers: PostgreSQL is not installed.")
            return
        store = stores.Postgres(server, partial(jobs.fill, readers=readers))
        for round_trip_ms in (0, ROUND_TRIP_MS):
            with sinks.sink(Path(name), round_trip_ms=round_trip_ms) as sink:
                _show(store, sink, Path(name), Job(readers, CONNECTIONS), rounds)


def _show(store: Store, sink: Sink, folder: Path, job: Job, rounds: int) -> None:
    ways = [
        Way(f"{count} worker{'s' * (count > 1)}", partial(_run, count, store, sink, folder, job)) for count in (1, 2)
    ]
    speeds = in_turn(ways, rounds=rounds)
    one = speeds[ways[0].name].median
    heading = (
        f"{job.readers:,} readers, {CONNECTIONS} connections each, {sink.round_trip_ms} ms round trips, from the start "
        "of the workers to the last row marked"
    )
    rows = [
        [name, tables.rate(each.median), each.span, f"{each.cpu_micros:,.0f}", tables.ratio(each.median, one)]
        for name, each in speeds.items()
    ]
    tables.show(heading, ["", "mails/s", "of the rounds", "CPU µs", "x one worker"], rows)


def _run(count: int, store: Store, sink: Sink, folder: Path, job: Job) -> Speed:
    """So many readers with so many workers, each as if on a machine of its own: own folder, own journals."""
    before = sink.counts().messages
    with store.copy() as url, contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder))) for _ in range(count)]
        environments = [job.environment(each, url, sink) for each in folders]
        service.newsletter(environments[0], "digest", "send")
        with machine.cost(of_children=True) as cost:
            seconds = _seconds_of(environments, url, job.readers)
    messages = sink.counts().messages - before
    if messages != job.readers:
        raise WrongResult(f"{job.readers} readers, {messages} at the sink")
    return Speed(job.readers / seconds, 1e6 * cost.cpu_seconds / job.readers)


def _seconds_of(environments: Sequence[dict[str, str]], url: str, readers: int) -> float:
    started = time.perf_counter()
    with contextlib.ExitStack() as workers:
        for env in environments:
            workers.enter_context(_worker(env))
        _wait_until_sent(url, readers)
        return time.perf_counter() - started


@contextmanager
def _worker(env: dict[str, str]) -> Iterator[None]:
    command = [*jobs.COMMAND, "worker"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_sent(url: str, readers: int) -> None:
    database, deadline = Database(url), time.monotonic() + LONGEST_SECONDS
    query = select(func.count()).where(Delivery.status == Status.SENT)
    sent = 0
    while sent < readers:
        if time.monotonic() > deadline:
            raise WrongResult(f"{sent} of {readers} were sent after {LONGEST_SECONDS} s")
        time.sleep(LOOK_SECONDS)
        with database.reading() as session:
            sent = session.scalars(query).one()
    database.dispose()
