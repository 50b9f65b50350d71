"""`POST /signin`: known, unknown and limited addresses beside a bare Flask route, all in one run."""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from benchmarks import http_load, service, sinks
from benchmarks.http_load import Result
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.subscribers import addresses, people

REQUESTS = 600
CONNECTIONS = (1, 16, 64)
MEDIAN_REQUESTS = 200
LOOK_SECONDS = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print two tables: throughput and tail for each kind of address, and the medians side by side."""
    with tempfile.TemporaryDirectory() as name, sinks.running(folder := Path(name)) as smtp_port:
        env = service.environment(folder, MAIL_SERVER="127.0.0.1", MAIL_PORT=str(smtp_port))
        service.newsletter(env, "db", "upgrade")
        _make_known(folder, count=REQUESTS * len(CONNECTIONS) + MEDIAN_REQUESTS)
        limited = {**env, "LIMIT_PER_ADDRESS": "1/hour"}
        with (
            service.gunicorn(env) as port,
            service.gunicorn(limited) as limited_port,
            service.gunicorn(env, "benchmarks.bare:app") as bare_port,
        ):
            ports = {"bare Flask": bare_port, "known": port, "unknown": port, "limited": limited_port}
            _print_throughput(ports, folder)
            _print_medians(port)


def _make_known(folder: Path, *, count: int) -> None:
    database, now = Database(f"sqlite:///{folder}/newsletter.db"), utcnow()
    with database.transaction() as session:
        for number in range(count):
            people.find_or_add(session, addresses.parse(f"known{number}@example.org"), now=now).confirmed_at = now
    database.dispose()


def _print_throughput(ports: dict[str, int], folder: Path) -> None:
    print(f"\n`POST /signin`, {REQUESTS} requests each, SQLite, two gunicorn workers and the sender\n")
    print("| address | connections | requests/s | x bare Flask | p50 ms | p99 ms | processor, ms a request |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for round_number, connections in enumerate(CONNECTIONS):
        bare = 0.0
        for kind, port in ports.items():
            before = _processor_seconds(port)
            result = http_load.run(port, _requests(kind, REQUESTS, round_number), connections=connections)
            cost = (_processor_seconds(port) - before) / REQUESTS
            bare = bare or result.per_second
            _print_row(kind, connections, result, bare, cost)
            _wait_for_mail(folder)


def _print_row(kind: str, connections: int, result: Result, bare: float, cost: float) -> None:
    if set(result.statuses) != {202}:
        raise RuntimeError(f"{kind}: unexpected answers {result.statuses}")
    speed = f"{result.per_second:,.0f} | {result.per_second / bare:.2f}"
    times = f"{result.percentile(50):.1f} | {result.percentile(99):.1f} | {1000 * cost:.2f}"
    print(f"| {kind} | {connections} | {speed} | {times} |", flush=True)


def _processor_seconds(port: int) -> float:
    """What gunicorn's processes have used of the processor so far, without the sender: all name the address."""
    mine = f"127.0.0.1:{port}".encode()
    seconds = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended meanwhile, and was none of ours.
            if mine in (process / "cmdline").read_bytes().split(b"\0"):
                seconds += _ticks(process) / TICKS
    return seconds


def _ticks(process: Path) -> int:
    """Time in user and kernel mode: fields 14 and 15, counted from behind the name, which may hold anything."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _wait_for_mail(folder: Path) -> None:
    """Until all mail is out, so that nobody pays for the requests before."""
    database = Database(f"sqlite:///{folder}/newsletter.db")
    left = select(Delivery.id).where(Delivery.status.in_([Status.PENDING, Status.CLAIMED])).limit(1)
    with database.reading() as session:
        while session.scalars(left).first() is not None:
            session.rollback()
            time.sleep(LOOK_SECONDS)
    database.dispose()


def _print_medians(port: int) -> None:
    """Known and unknown in turn, so that whatever else the machine does falls on both."""
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    last = len(CONNECTIONS)
    pairs = zip(_requests("known", MEDIAN_REQUESTS, last), _requests("unknown", MEDIAN_REQUESTS, last), strict=True)
    for known, unknown in pairs:
        times["known"] += http_load.run(port, iter([known]), connections=1).latencies
        times["unknown"] += http_load.run(port, iter([unknown]), connections=1).latencies
    medians = {kind: 1000 * statistics.median(each) for kind, each in times.items()}
    print(f"\nMedians of {MEDIAN_REQUESTS} requests in turn: known {medians['known']:.2f} ms, "
          f"unknown {medians['unknown']:.2f} ms")  # fmt: skip


def _requests(kind: str, count: int, round_number: int) -> Iterator[bytes]:
    for number in range(count):
        local = "limited" if kind == "limited" else f"{kind.replace(' ', '-')}{round_number * REQUESTS + number}"
        yield http_load.post("/signin", json.dumps({"email": f"{local}@example.org"}).encode())


if __name__ == "__main__":
    main()
