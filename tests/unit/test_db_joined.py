"""Work of many threads in one transaction: each ends as if it were alone, and what undoes the whole undoes all."""

import contextvars
import json
import os
import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from newsletter_svc import locks
from newsletter_svc.db import MOST_JOINED, Database, delete_where, insert_row
from newsletter_svc.delivery.models import Scope, Suppression
from newsletter_svc.groups import Job

NOW = datetime(2026, 11, 24, 5, 37, 48, 123456, UTC)
Work = Callable[[Session], object]


class Counted(Exception):
    """Ends a piece of work without undoing it."""


def put(session: Session, name: str) -> str:
    """Write a row of this name, and return the name."""
    row = {"email_key": name, "reason": "complaint", "scope": Scope.NEWSLETTERS, "created_at": NOW}
    insert_row(session, Suppression, row)
    return name


def putting(name: str, error: Exception | None = None) -> Work:
    """Work that writes a row of this name, and then ends with this error or well."""

    def work(session: Session) -> str:
        put(session, name)
        if error is not None:
            raise error
        return name

    return work


def names(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(Suppression.email_key)))


def is_waiting(thread: threading.Thread) -> bool:
    """Whether it stands in line for whoever leads."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not Job.wait.__code__:
        frame = frame.f_back
    return frame is not None


def until_all_wait(threads: Sequence[threading.Thread]) -> None:
    while not all(map(is_waiting, threads)):
        threading.Event().wait(0.001)


class Ending(NamedTuple):
    """What a piece of work returned or raised."""

    returned: object
    raised: BaseException | None


def together(database: Database, works: Sequence[Work]) -> list[Ending]:
    """Do all of this in one group: the work that leads is held until the others wait for it."""
    futures: list[Future[object]] = [Future() for _ in works]
    threads: list[threading.Thread] = []
    leads, have_come = threading.Event(), threading.Event()

    def hold(_: Session) -> None:
        leads.set()
        have_come.wait(10)
        until_all_wait(threads)

    def join(work: Work, future: Future[object]) -> None:
        try:
            future.set_result(database.joined(work, kept_by=Counted))
        except BaseException as error:
            future.set_exception(error)

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(database.joined, hold)
        assert leads.wait(10)
        threads += [threading.Thread(target=join, args=pair) for pair in zip(works, futures, strict=True)]
        for thread in threads:
            thread.start()
        have_come.set()
        leader.result(10)
    for thread in threads:
        thread.join(10)
    return [Ending(None if (error := future.exception(10)) else future.result(), error) for future in futures]


@pytest.fixture
def commits(database: Database) -> list[object]:
    """Grows by one at each commit."""
    seen: list[object] = []
    event.listen(database.engine, "commit", seen.append)
    return seen


@pytest.fixture
def sqlite_path(database: Database) -> str:
    """The database's file, where work is joined by us."""
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL joins commits by itself")
    return database.engine.url.database or ""


def test_work_returns_what_it_returned_once_it_is_committed(database: Database) -> None:
    assert database.joined(putting("ada")) == "ada"
    assert names(database) == {"ada"}


def test_work_that_raises_leaves_nothing_unless_its_error_keeps_it(database: Database) -> None:
    with pytest.raises(LookupError):
        database.joined(putting("undone", LookupError()), kept_by=Counted)
    with pytest.raises(Counted):
        database.joined(putting("kept", Counted()), kept_by=Counted)
    assert names(database) == {"kept"}


@pytest.mark.usefixtures("sqlite_path")
def test_many_that_come_at_once_share_a_commit(database: Database, commits: list[object]) -> None:
    endings = together(database, [putting(f"reader {number}") for number in range(10)])
    assert [ending.returned for ending in endings] == [f"reader {number}" for number in range(10)]
    assert len(names(database)) == 10
    assert len(commits) == 2, "one of who held the others up, and one of all the others"


@pytest.mark.usefixtures("sqlite_path")
def test_a_group_has_an_end_and_who_comes_later_leads_the_next(database: Database, commits: list[object]) -> None:
    together(database, [putting(f"reader {number}") for number in range(MOST_JOINED + 1)])
    assert len(names(database)) == MOST_JOINED + 1
    assert len(commits) == 3


ENDINGS: dict[str, type[Exception] | None] = {
    "returns": None,
    "raises": LookupError,
    "is kept": Counted,
    "breaks a rule": IntegrityError,
}


@pytest.mark.usefixtures("sqlite_path")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(ends=st.lists(st.sampled_from(sorted(ENDINGS)), min_size=1, max_size=8))
def test_each_ends_as_if_it_were_alone(database: Database, ends: list[str]) -> None:
    database.joined(lambda session: delete_where(session, Suppression))

    def work(number: int, end: str) -> Work:
        if end == "breaks a rule":
            return lambda session: (put(session, str(number)), put(session, str(number)))
        return putting(str(number), {"raises": LookupError(), "is kept": Counted()}.get(end))

    endings = together(database, [work(number, end) for number, end in enumerate(ends)])

    assert [type(ending.raised) for ending in endings] == [ENDINGS[end] or type(None) for end in ends]
    assert names(database) == {str(number) for number, end in enumerate(ends) if end in ("returns", "is kept")}


def test_a_crowd_ends_as_one_after_the_other_would(database: Database) -> None:
    def ask(number: int) -> bool:
        try:
            database.joined(putting(str(number), LookupError() if number % 3 == 0 else None))
        except LookupError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        ended_well = list(pool.map(ask, range(150)))

    assert ended_well == [number % 3 != 0 for number in range(150)]
    assert names(database) == {str(number) for number in range(150) if number % 3}


@pytest.mark.usefixtures("sqlite_path")
def test_objects_in_the_session_are_refused_and_harm_nobody_else(database: Database) -> None:
    def add(session: Session) -> None:
        session.add(Suppression(email_key="object", reason="x", scope=Scope.NEWSLETTERS, created_at=NOW))

    added, fine = together(database, [add, putting("fine")])
    assert isinstance(added.raised, TypeError)
    assert fine.returned == "fine"
    assert names(database) == {"fine"}


@pytest.mark.usefixtures("sqlite_path")
def test_work_finds_the_context_that_it_was_brought_from(database: Database) -> None:
    whose = contextvars.ContextVar("whose", default="nobody's")

    def join_as(name: str) -> object:
        whose.set(name)
        return database.joined(lambda _: whose.get())

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(join_as, "abcdef")) == list("abcdef")


@pytest.mark.usefixtures("sqlite_path")
def test_a_commit_that_fails_is_raised_for_everybody_who_shares_it(database: Database) -> None:
    def owe_a_reference(session: Session) -> None:
        driver = session.connection().exec_driver_sql
        driver("PRAGMA defer_foreign_keys = ON")
        driver("INSERT INTO subscriptions (subscriber_id, newsletter_id, status, created_at) VALUES (4711, 1, 'x', '')")

    endings = together(
        database, [putting("ada"), putting("counted", Counted()), putting("own", LookupError()), owe_a_reference]
    )
    raised = [type(ending.raised) for ending in endings]
    assert raised == [IntegrityError, IntegrityError, LookupError, IntegrityError]
    assert names(database) == set()
    assert database.joined(putting("later")) == "later"


def test_whoever_waits_for_a_lock_in_vain_is_told_so_and_the_next_one_gets_it(
    database: Database, sqlite_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST_WAIT_MS", 20)
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def ask(number: int) -> bool:
        with pytest.raises(OperationalError) as caught:
            database.joined(putting(str(number)))
        return locks.was_locked(caught.value)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [True] * 6
    other.close()
    assert names(database) == set()
    assert database.joined(putting("later")) == "later"


@contextmanager
def no_room_in(database: Database, sqlite_path: str) -> Iterator[None]:
    """The database may not grow, as on a disk that is full."""
    with sqlite3.connect(sqlite_path) as connection:
        [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
    connection.close()

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database.engine.dispose()
    event.listen(database.engine, "connect", limit)
    yield
    event.remove(database.engine, "connect", limit)
    database.engine.dispose()


def test_where_the_database_is_full_nobody_of_the_group_is_answered_with_success(
    database: Database, sqlite_path: str
) -> None:
    """SQLite undoes the whole transaction then, also for those that found room."""
    with no_room_in(database, sqlite_path):
        endings = together(database, [putting("small"), putting("large " + 100_000 * "x"), putting("small too")])
        assert [type(ending.raised) for ending in endings] == [OperationalError] * 3
        assert names(database) == set()
        assert database.joined(putting("later")) == "later"


def in_a_child(work: Callable[[], object]) -> tuple[int, object]:
    """Fork, do work there; its status and what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        told = said.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(told) if told else None


def test_where_the_disk_is_full_at_the_commit_nobody_is_answered_with_success(
    database: Database, database_url: str, sqlite_path: str
) -> None:
    def in_a_full_house() -> object:
        mine = Database(database_url)
        mine.joined(putting("before"))
        log_octets = Path(f"{sqlite_path}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (log_octets, resource.RLIM_INFINITY))
        endings = together(mine, [putting(str(number)) for number in range(5)])
        return [type(ending.raised).__name__ for ending in endings]

    assert in_a_child(in_a_full_house) == (0, ["OperationalError"] * 5)
    assert names(database) == {"before"}
    with database.reading() as session:
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_process_that_is_killed_in_the_middle_of_a_group_leaves_nothing_of_it(
    database: Database, database_url: str, sqlite_path: str
) -> None:
    def die(_: Session) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def begin_and_die() -> object:
        return together(Database(database_url), [putting("ada"), putting("grace"), die, putting("late")])

    assert in_a_child(begin_and_die) == (signal.SIGKILL, None)
    assert names(database) == set()
    assert database.joined(putting("later")) == "later"
