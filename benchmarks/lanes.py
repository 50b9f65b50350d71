"""Sign-in beside a digest: how long a request and its mail take at rest, and while 100,000 mails go out."""

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path

from sqlalchemy import select

from benchmarks import jobs, service, sinks, stores, tables
from benchmarks.jobs import Job, WrongResult
from benchmarks.paced_load import SignIns
from benchmarks.sinks import Sink
from benchmarks.stores import Store
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Lane

READERS = 100_000
CONNECTIONS = 4
"""MAIL_CONNECTIONS as it is by default."""
PACES = (10, 40)
"""Sign-ins a second."""
REST_SECONDS = 30
WARM_SECONDS = 3
WARM_READER = 5_000
LOOK_SECONDS = 0.1
DIGEST_SECONDS, MAIL_SECONDS = 600, 30


@dataclass(frozen=True)
class Stretch:
    """One stretch of time: how many digest mails a second went out, and how long requests and their mails took."""

    name: str
    per_second: float
    requests: Sequence[float]
    mails: Sequence[float]


def main(*, readers: int = READERS) -> None:
    """Print a table for each database and pace."""
    fill: stores.Fill = partial(jobs.fill, readers=readers)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(stores.postgres_server())
        sink = stack.enter_context(sinks.sink(folder))
        found: list[Store] = [stores.Sqlite(folder, fill)]
        if server is not None:
            found.append(stores.Postgres(server, fill))
        for store, pace in product(found, PACES):
            with store.copy() as url, tempfile.TemporaryDirectory(dir=folder) as own:
                _show(store.name, pace, _measure(Job(readers, CONNECTIONS), Path(own), url, sink, pace=pace))


def _measure(job: Job, folder: Path, url: str, sink: Sink, *, pace: int) -> list[Stretch]:
    env = job.environment(folder, url, sink)
    database = Database(url)
    with service.gunicorn(env) as port:
        _warm_up(port, database, pace)
        began = utcnow()
        with SignIns(port, per_second=pace, first_reader=1) as at_rest:
            time.sleep(REST_SECONDS)
        rest = Stretch("at rest", 0, at_rest.latencies, _mail_latencies(database, since=began))
        before = sink.counts().messages
        service.newsletter(env, "digest", "send")
        began, ahead = utcnow(), before + job.readers - sink.counts().messages
        started = time.perf_counter()
        with SignIns(port, per_second=pace, first_reader=job.readers // 2) as meanwhile:
            _wait_for(sink, before + job.readers)
            seconds = time.perf_counter() - started
        mails = _mail_latencies(database, since=began)
        busy = Stretch(f"while a digest for {job.readers:,} goes out", ahead / seconds, meanwhile.latencies, mails)
    database.dispose()
    return [rest, busy]


def _warm_up(port: int, database: Database, pace: int) -> None:
    """Until every process has answered and the sender is up."""
    began = utcnow()
    with SignIns(port, per_second=pace, first_reader=WARM_READER):
        time.sleep(WARM_SECONDS)
    _mail_latencies(database, since=began)


def _wait_for(sink: Sink, messages: int) -> None:
    deadline = time.monotonic() + DIGEST_SECONDS
    while sink.counts().messages < messages:
        if time.monotonic() > deadline:
            raise WrongResult(f"the digest was not out after {DIGEST_SECONDS} s")
        time.sleep(LOOK_SECONDS)


def _mail_latencies(database: Database, *, since: datetime) -> list[float]:
    """Seconds from each sign-in's row to its acceptance by the mail server, once the last one has been accepted."""
    query = select(Delivery.created_at, Delivery.finished_at).where(
        Delivery.lane == Lane.TRANSACTIONAL, Delivery.created_at >= since
    )
    deadline = time.monotonic() + MAIL_SECONDS
    while True:
        with database.reading() as session:
            rows = session.execute(query).all()
        finished = [(end - start).total_seconds() for start, end in rows if end is not None]
        if len(finished) == len(rows):
            return finished
        if time.monotonic() > deadline:
            raise WrongResult(f"{len(rows) - len(finished)} sign-in mails were not out after {MAIL_SECONDS} s")
        time.sleep(LOOK_SECONDS)


def _show(store: str, pace: int, stretches: Sequence[Stretch]) -> None:
    heading = f"`POST /signin` {pace} times a second, {store}, two gunicorn workers and the senders"
    columns = ["", "digest mails/s", "requests", "p50 ms", "p99 ms", "x at rest", "mail p50 s", "p99 s", "slowest s"]
    rest = _percentile(stretches[0].requests, 99)
    rows = [
        [
            each.name,
            tables.rate(each.per_second) if each.per_second else "",
            str(len(each.requests)),
            f"{1000 * _percentile(each.requests, 50):.1f}",
            f"{1000 * _percentile(each.requests, 99):.1f}",
            tables.ratio(_percentile(each.requests, 99), rest),
            *(f"{_percentile(each.mails, percent):.2f}" for percent in (50, 99, 100)),
        ]
        for each in stretches
    ]
    tables.show(heading, columns, rows)


def _percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
