"""The database: transactions that commit or leave nothing, moments in UTC, locks that wait, references that hold."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, literal, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from newsletter_svc import locks
from newsletter_svc.auth.models import BrowserSession
from newsletter_svc.db import Database, UtcDateTime, insert_if_absent
from newsletter_svc.delivery.models import Suppression
from newsletter_svc.subscribers.models import Subscriber

NOW = datetime(2026, 11, 24, 5, 37, 48, 123456, UTC)


def subscriber(email: str = "ada@example.org") -> Subscriber:
    return Subscriber(email=email, email_key=email, name="", created_at=NOW)


def how_many(database: Database, table: type[Subscriber | Suppression]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_what_a_transaction_did_is_there_for_the_next_one(database: Database) -> None:
    with database.transaction() as session:
        session.add(subscriber())
    assert how_many(database, Subscriber) == 1


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def fail_halfway() -> None:
        with database.transaction() as session:
            session.add(subscriber())
            session.flush()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert how_many(database, Subscriber) == 0


def test_an_error_that_keeps_its_work_leaves_it_and_no_other_does(database: Database) -> None:
    class Counted(Exception):
        pass

    def work(address: str, error: Exception) -> None:
        with database.transaction(kept_by=Counted) as session:
            session.add(subscriber(address))
            raise error

    with pytest.raises(Counted):
        work("kept@example.org", Counted())
    with pytest.raises(LookupError):
        work("undone@example.org", LookupError())
    with database.reading() as session:
        assert session.scalars(select(Subscriber.email)).all() == ["kept@example.org"]


def test_what_is_changed_while_reading_is_undone(database: Database) -> None:
    with database.reading() as session:
        session.add(subscriber())
        session.flush()
    assert how_many(database, Subscriber) == 0


def test_rows_can_be_read_after_their_transaction(database: Database) -> None:
    with database.transaction() as session:
        row = subscriber()
        session.add(row)
    assert row.email == "ada@example.org"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    moment=st.datetimes(
        datetime(1000, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it.
        datetime(9000, 1, 1),  # noqa: DTZ001
        timezones=st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(timezone),
    )
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(database: Database, moment: datetime) -> None:
    with database.reading() as session:
        back = session.scalar(select(literal(moment, UtcDateTime())))
    assert back == moment
    assert back is not None
    assert back.utcoffset() == timedelta()


def test_a_moment_without_a_time_zone_is_refused(database: Database) -> None:
    row = subscriber()
    row.created_at = NOW.replace(tzinfo=None)

    def store() -> None:
        with database.transaction() as session:
            session.add(row)

    with pytest.raises(StatementError, match="without a time zone"):
        store()
    assert how_many(database, Subscriber) == 0


def test_a_reference_to_nothing_is_refused(database: Database) -> None:
    values = {"secret_hash": "0" * 64, "browser": "", "created_at": NOW, "last_seen_at": NOW, "expires_at": NOW}

    def refer_to_nobody() -> None:
        with database.transaction() as session:
            session.add(BrowserSession(subscriber_id=4711, **values))

    with pytest.raises(IntegrityError):
        refer_to_nobody()


def test_of_two_rows_with_the_same_key_the_first_one_stays(database: Database) -> None:
    for reason, is_new in (("hard_bounce", True), ("complaint", False)):
        values = {"email_key": "ada@example.org", "reason": reason, "created_at": NOW}
        with database.transaction() as session:
            assert insert_if_absent(session, Suppression, values, unique=["email_key"]) is is_new
    with database.reading() as session:
        assert session.scalars(select(Suppression.reason)).all() == ["hard_bounce"]


def test_twenty_that_insert_the_same_key_at_once_make_one_row(database: Database) -> None:
    values = {"email_key": "ada@example.org", "reason": "complaint", "created_at": NOW}

    def insert(_number: int) -> bool:
        with database.transaction() as session:
            return insert_if_absent(session, Suppression, values, unique=["email_key"])

    assert sorted(together(insert, 20)) == [False] * 19 + [True]
    assert how_many(database, Suppression) == 1


def test_writers_that_read_first_wait_for_each_other(database: Database) -> None:
    """Each reads a name and writes it back longer: a lost update or a "database is locked" would show."""
    with database.transaction() as session:
        session.add(subscriber())

    def lengthen(_number: int) -> None:
        for _ in range(5):
            with database.transaction() as session:
                row = session.scalars(select(Subscriber).with_for_update()).one()
                row.name += "."

    together(lengthen, 8)
    with database.reading() as session:
        assert session.scalars(select(Subscriber.name)).one() == "." * 40


def test_a_writer_waits_for_a_lock_that_another_connection_holds(database: Database) -> None:
    with database.transaction() as session:
        session.add(subscriber())
    writes = threading.Event()

    def write() -> None:
        writes.set()
        with database.transaction() as session:
            session.execute(text("UPDATE subscribers SET name = name || 'second'"))

    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            session.execute(text("UPDATE subscribers SET name = 'first '"))
            second = pool.submit(write)
            assert writes.wait(10)
        second.result(10)
    with database.reading() as session:
        assert session.scalars(select(Subscriber.name)).one() == "first second"


@pytest.fixture
def sqlite_path(database: Database) -> str:
    """The database's file."""
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no single write lock")
    return database.engine.url.database or ""


def test_a_writer_of_another_process_is_waited_for(database: Database, sqlite_path: str) -> None:
    other = sqlite3.connect(sqlite_path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute(
        "INSERT INTO suppressions (email_key, reason, created_at) VALUES ('ada@example.org', 'x', '2026-11-24')"
    )
    begins = threading.Event()

    def write() -> None:
        begins.set()
        with database.transaction() as session:
            session.add(subscriber())

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        assert begins.wait(10)
        other.commit()
        written.result(10)
    other.close()
    assert how_many(database, Subscriber) == how_many(database, Suppression) == 1


def test_a_lock_that_is_never_given_back_is_an_error_in_the_end(
    database: Database, sqlite_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT_MS", 20)
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"), database.transaction() as session:
        session.connection()
    other.close()
    with database.transaction() as session:
        session.add(subscriber())
    assert how_many(database, Subscriber) == 1


def test_a_row_that_is_never_let_go_is_an_error_in_the_end_and_in_the_next_transaction_too(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT_MS", 20)
    impatient = Database(database_url)
    with database.transaction() as session:
        session.add(subscriber())
    with database.transaction() as session:
        session.execute(update(Subscriber).values(name="Ada"))
        for _ in range(2):
            with pytest.raises(OperationalError) as caught, impatient.transaction() as other:
                other.execute(update(Subscriber).values(name="Grace"))
            assert locks.was_locked(caught.value)
    impatient.dispose()


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.transaction() as session:
        session.add(subscriber())
        session.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(how_many, database, Subscriber).result(10) == 0


def together(work: Callable[[int], object], count: int) -> list[object]:
    """Run `work` in `count` threads that start at the same moment; return what each returned."""
    start = threading.Barrier(count)

    def begin(number: int) -> object:
        start.wait(10)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))
