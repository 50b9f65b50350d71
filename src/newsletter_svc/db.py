"""The database: engine, declarative base, and `transaction()`, the only place that commits."""

import contextlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CursorResult,
    DateTime,
    Delete,
    Dialect,
    Enum,
    Executable,
    MetaData,
    String,
    Table,
    Update,
    any_,
    create_engine,
    delete,
    func,
    insert,
    literal,
    make_url,
    select,
)
from sqlalchemy import cast as cast_as
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session
from sqlalchemy.types import TypeDecorator

from newsletter_svc import locks
from newsletter_svc.groups import Group, Job, T, Take, Work
from newsletter_svc.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

MOST_JOINED = 32
"""So many pieces of work share a transaction at most: others wait for the lock, and who came first for its answer."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz` on PostgreSQL, and on SQLite (which has no such type) UTC without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _in_utc(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        # Written at once, like what is read below: a sign-in stores twelve of them.
        return _for_sqlite if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        # Read at once: the way through SQLAlchemy's own type takes ten times as long, for each of a million rows.
        return _from_sqlite if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be stored")
    return moment.astimezone(UTC)


def _for_sqlite(moment: datetime | None) -> str | None:
    return None if moment is None else _in_utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")


def _from_sqlite(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=UTC)


def word(kind: type[StrEnum]) -> Enum:
    """The column type of a StrEnum: its value as text, without a type of the database's own to migrate."""
    return Enum(kind, native_enum=False, length=20, values_callable=lambda members: [each.value for each in members])


class Base(DeclarativeBase):
    """The base of every table. Constraints have names, so that migrations can find them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it from the class as it is.


class Database:
    """One engine for one process. It must be made after a fork, never before."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # SQLite has one writer. Threads that take turns here are woken as soon as it is theirs; in the database they
        # would sleep and look again, ever longer. Other processes still meet there.
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._turn = threading.RLock() if self._is_sqlite else contextlib.nullcontext()
        self._group = Group(self._do_together, most=MOST_JOINED)

    @contextmanager
    def transaction(self, *, kept_by: type[Exception] | tuple[()] = ()) -> Iterator[Session]:
        """A session whose work is committed at the end of the block, or undone when the block raises.

        An error of the class `kept_by` undoes nothing: it tells of work that is to stay, such as a hit that counts.
        """
        with self._turn, Session(self.engine, expire_on_commit=False) as session:
            try:
                yield session
                session.commit()
            except kept_by:
                session.commit()
                raise
            except BaseException:
                session.rollback()
                raise

    def joined(self, work: Work[T], *, kept_by: type[Exception] | tuple[()] = ()) -> T:
        """Do work in a transaction that it shares with what other threads bring at the same moment.

        For the busiest doors. It ends when the transaction is committed; an error undoes only its own work, and one of
        the class `kept_by` not even that. What undoes the whole, such as a full disk, is raised for each of them.
        The work runs statements and adds no objects to the session. It must not be in a transaction already.
        """
        if self._is_sqlite:
            return self._group.join(Job(work, kept_by=kept_by))
        # PostgreSQL joins commits by itself, and two long transactions could wait for each other's rows.
        with self.transaction(kept_by=kept_by) as session:
            return work(session)

    def _do_together(self, take: Take) -> None:
        with self.transaction() as session:
            session.connection()
            # Taken when the lock is ours: whoever came while we waited for it is there by now.
            jobs = take()
            for job in jobs:
                _do_apart(session, job, is_alone=len(jobs) == 1)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for looking only: on SQLite it takes no write lock, and whatever it changed is undone."""
        with Session(self.engine.execution_options(read_only=True), expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        self.engine.dispose()


def _do_apart(session: Session, job: Job[object], *, is_alone: bool) -> None:
    """Do a job in a transaction that others may share. Raises what has undone it for all of them."""
    if is_alone:
        job.do(session)
        return
    driver: Any = session.connection().connection.driver_connection
    # By the driver: SQLAlchemy's own savepoints cost as much as a transaction.
    driver.execute("SAVEPOINT job")
    try:
        job.do(session)
    except Exception:
        if not driver.in_transaction:
            raise  # A full disk, for example: SQLite has rolled back everything.
        session.expunge_all()
        driver.execute("ROLLBACK TO job")
    driver.execute("RELEASE job")


def insert_row(session: Session, table: type[Base], values: dict[str, Any]) -> None:
    """Insert one row at once, all of whose values are given. A tenth of what an object in the session costs."""
    _insert(table, tuple(values)).run(session, values)


@lru_cache
def _insert(table: type[Base], columns: tuple[str, ...]) -> Prepared:
    return Prepared(lambda _: insert(cast(Table, table.__table__)), columns=columns)


def insert_if_absent(session: Session, table: type[Base], values: dict[str, Any], *, unique: Sequence[str]) -> bool:
    """Insert one row unless its `unique` columns are taken already; says whether it did. Safe against races."""
    session.flush()
    statement = _insert_or_nothing(session.get_bind().dialect.name, table, tuple(unique))
    return session.connection().execute(statement, values).first() is not None


@lru_cache
def _insert_or_nothing(dialect: str, table: type[Base], unique: tuple[str, ...]) -> Executable:
    # Made once: to put a statement together takes longer than to run it. A row comes back only if one was written;
    # the drivers' counts of rows do not agree on that.
    return insert_into(dialect, table).on_conflict_do_nothing(index_elements=unique).returning(literal(1))


def insert_into(dialect: str, table: type[Base]) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT in the words of this database, which know what to do on a conflict."""
    rows = cast(Table, table.__table__)
    # A process has one database, and does not wait for the import of the other one's words.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(rows)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(rows)


def among(column: InstrumentedAttribute[int] | ColumnElement[int], ids: Collection[int]) -> ColumnElement[bool]:
    """A condition that these ids meet, and perhaps others between them, where that saves naming a thousand of them.

    What is claimed was mostly written in one go, so its ids stand side by side.
    """
    if ids and max(ids) - min(ids) < 2 * len(ids):
        return column.between(min(ids), max(ids))
    return column.in_(ids)


def is_one_of(session: Session, column: InstrumentedAttribute[str], texts: Collection[str]) -> ColumnElement[bool]:
    """A condition that these texts meet, handed over as one value: a thousand take longer to name than to find."""
    if session.get_bind().dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(list(texts))).table_valued("value").c.value))
    return column == any_(cast_as(list(texts), ARRAY(String)))


def change(session: Session, statement: Update | Delete) -> int:
    """Change rows, and say how many there were; what the session has loaded of them stays as it was."""
    done = session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], done).rowcount


def delete_where(session: Session, table: type[Base], *conditions: ColumnElement[bool]) -> int:
    """Delete rows, and say how many there were."""
    return change(session, delete(table).where(*conditions))


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, pool_pre_ping=not is_sqlite)
    locks.install(engine)
    return engine
