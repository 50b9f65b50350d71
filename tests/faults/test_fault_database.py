"""A database that is locked, gone or full while a digest goes out: nothing is sent that nobody would know of."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, create_engine, make_url, select, text

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.conftest import POSTGRES
from tests.e2e.service import wait_until
from tests.factories import owe_issue
from tests.fakes.smtp_thread import MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host
from tests.faults.issues import add_readers
from tests.faults.ledgers import statuses
from tests.faults.processes import Running, descendants

READERS = 400
only_sqlite = pytest.mark.skipif(POSTGRES is not None, reason="what is full or locked here is a file")


@contextmanager
def locked(parts: Parts) -> Iterator[Connection]:
    """Another program holds what every sender needs, and does not let go; it can look."""
    with parts.database.engine.connect() as connection:
        connection.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE" if POSTGRES else "SELECT 1"))
        yield connection


@contextmanager
def gone(parts: Parts) -> Iterator[None]:
    """No sender finds its rows any more: the server cuts and refuses connections, the file has lost the table."""
    if POSTGRES is None:
        with parts.database.transaction() as session:
            session.execute(text("ALTER TABLE deliveries RENAME TO deliveries_elsewhere"))
        yield
        with parts.database.transaction() as session:
            session.execute(text("ALTER TABLE deliveries_elsewhere RENAME TO deliveries"))
        return
    parts.database.dispose()
    name = make_url(POSTGRES).database
    elsewhere = create_engine(make_url(POSTGRES).set(database="template1"), isolation_level="AUTOCOMMIT")
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with elsewhere.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(cut, {"name": name})
        try:
            yield
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    elsewhere.dispose()


def errors(worker: Running) -> int:
    return worker.said().count('"level": "error"')


def let_it_end(service: Parts, worker: Running, *, rows: int = READERS) -> None:
    wait_until(lambda: statuses(service) == {Status.SENT: rows}, "all is sent")
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.ended() == 0, worker.said()


def lock_while_it_goes_out(
    service: Parts, server: MailServer, host: Host, client: FlaskClient, *, sign_ins: int
) -> None:
    """Hold the lock for as long as so many readers try to sign in, each of whom waits for a few seconds."""
    add_readers(service, READERS)
    owe_issue(service)
    server.latency = 0.01
    with host.run("worker") as worker:
        server.wait_for(10)
        with locked(service) as connection:
            for _ in range(sign_ins):
                answer = client.post("/signin", json={"email": "reader0001@example.org"})
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
            arrived = {arrival.message_id for arrival in server.arrivals}
            pending = select(Delivery.message_id).where(Delivery.status == Status.PENDING)
            assert arrived.isdisjoint(connection.scalars(pending))
        let_it_end(service, worker)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


def test_a_locked_database_is_waited_for_and_who_signs_in_meanwhile_is_told_to_come_back(
    service: Parts, server: MailServer, host: Host, client: FlaskClient
) -> None:
    lock_while_it_goes_out(service, server, host, client, sign_ins=1)


@pytest.mark.long
def test_a_database_that_is_locked_for_half_a_minute_is_waited_for(
    service: Parts, server: MailServer, host: Host, client: FlaskClient
) -> None:
    lock_while_it_goes_out(service, server, host, client, sign_ins=6)


def test_a_database_that_goes_away_in_mid_issue_comes_back_to_the_same_accounts(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    server.latency = 0.005
    with host.run("worker") as worker:
        server.wait_for(250)
        with gone(service):
            wait_until(lambda: errors(worker) >= 2, "the worker is in trouble")
            assert worker.is_alive
        let_it_end(service, worker)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


@only_sqlite
def test_where_no_file_can_grow_nothing_goes_out_without_a_claim_and_all_of_it_afterwards(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    server.latency = 0.01
    with host.run("worker") as worker:
        server.wait_for(10)
        database = Path(make_url(service.settings.database_url).database or "")
        size = database.with_name(f"{database.name}-wal").stat().st_size
        unlimited = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
        limit_files(worker, (size, unlimited[1]))
        wait_until(lambda: errors(worker) >= 2, "the worker is in trouble")
        assert_nothing_went_out_without_a_claim(service, server)
        limit_files(worker, unlimited)
        let_it_end(service, worker)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}
    assert_whole(service.database)


def limit_files(worker: Running, limits: tuple[int, int]) -> None:
    """Let no process of this worker write a file beyond this size."""
    for process_id in descendants(worker.pid):
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, limits)


def assert_nothing_went_out_without_a_claim(service: Parts, server: MailServer) -> None:
    arrived = {arrival.message_id for arrival in server.arrivals}
    with service.database.reading() as session:
        pending = set(session.scalars(select(Delivery.message_id).where(Delivery.status == Status.PENDING)))
    assert pending
    assert arrived.isdisjoint(pending)


def assert_whole(database: Database) -> None:
    with database.reading() as session:
        assert session.scalars(text("PRAGMA integrity_check")).all() == ["ok"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes. Only an administrator may mount one."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the rights of root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@only_sqlite
def test_a_full_disk_stops_everything_and_recovers_by_itself(
    settings: Settings, server: MailServer, small_disk: Path
) -> None:
    old = Path(make_url(settings.database_url).database or "")
    (small_disk / "test.db").write_bytes(old.read_bytes())
    settings = replace(settings, database_url=f"sqlite:///{small_disk}/test.db", var_dir=small_disk)
    fill_while_it_goes_out(settings, server, small_disk)


def test_a_disk_that_is_full_for_journals_only_stops_everything_too(
    settings: Settings, server: MailServer, small_disk: Path
) -> None:
    fill_while_it_goes_out(replace(settings, var_dir=small_disk), server, small_disk)


def fill_while_it_goes_out(settings: Settings, server: MailServer, small_disk: Path) -> None:
    service: Parts = create_app(settings).extensions[EXTENSION]
    host = Host(settings, server, settings.var_dir)
    add_readers(service, READERS)
    owe_issue(service)
    server.latency = 0.03
    filler = small_disk / "filler"
    with host.run("worker") as worker:
        server.wait_for(10)
        fill(filler)
        wait_until_silent(server)
        assert_nothing_went_out_without_a_claim(service, server)
        assert worker.is_alive
        filler.unlink()
        let_it_end(service, worker)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}
    with service.database.reading() as session:
        assert {alert.cause for alert in alerts.current(session, now=utcnow())} == {Cause.DISK_FULL}
    if POSTGRES is None:
        assert_whole(service.database)
    service.database.dispose()


def fill(filler: Path) -> None:
    """Leave not one page on the disk."""
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def wait_until_silent(server: MailServer) -> None:
    """Nothing arrives any more: whoever sends has had time for many times what it sends in a second."""
    count = -1
    while count != len(server.arrivals):
        count = len(server.arrivals)
        time.sleep(1)
