"""`POST /signin`: known, unknown and limited addresses beside a bare Flask route, all in one run."""

import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import http_load, service, sinks
from benchmarks.http_load import Result
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.subscribers import addresses, people

REQUESTS = 300
CONNECTIONS = (1, 16, 64)
MEDIAN_REQUESTS = 200


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
            _print_throughput({"bare Flask": bare_port, "known": port, "unknown": port, "limited": limited_port})
            _print_medians(port)


def _make_known(folder: Path, *, count: int) -> None:
    database, now = Database(f"sqlite:///{folder}/newsletter.db"), utcnow()
    with database.transaction() as session:
        for number in range(count):
            people.find_or_add(session, addresses.parse(f"known{number}@example.org"), now=now).confirmed_at = now
    database.dispose()


def _print_throughput(ports: dict[str, int]) -> None:
    print(f"\n`POST /signin`, {REQUESTS} requests each, SQLite, two gunicorn workers\n")
    print("| address | connections | requests/s | x bare Flask | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for round_number, connections in enumerate(CONNECTIONS):
        bare = 0.0
        for kind, port in ports.items():
            result = http_load.run(port, _requests(kind, REQUESTS, round_number), connections=connections)
            bare = bare or result.per_second
            _print_row(kind, connections, result, bare)


def _print_row(kind: str, connections: int, result: Result, bare: float) -> None:
    if set(result.statuses) != {202}:
        raise RuntimeError(f"{kind}: unexpected answers {result.statuses}")
    speed = f"{result.per_second:,.0f} | {result.per_second / bare:.2f}"
    print(f"| {kind} | {connections} | {speed} | {result.percentile(50):.1f} | {result.percentile(99):.1f} |")


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
