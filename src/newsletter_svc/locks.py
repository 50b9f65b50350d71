"""Waiting for the database's locks: no longer than a reader in front of a page may, and for SQLite's in short turns."""

import sqlite3
from functools import partial
from random import uniform
from time import monotonic, sleep
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

LONGEST_WAIT_MS = 5_000
"""Whoever has not got a lock by then gets OperationalError."""
LOOK_AGAIN_SECONDS = (0.00025, 0.001)
"""Between looks for the lock, which is held for about a millisecond each time."""
LATER_LOOKS = 20
"""After a second of waiting they are so many times rarer: twenty that look as often as at first leave the one who has
the lock, to make an issue, no processor to do it with."""
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's own name for it, the SQLSTATE."""


def install(engine: Engine) -> None:
    """Let every connection of this engine be made and begin its transactions as below."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "connect", _limit_waiting)


def wait_without_end(connection: Connection) -> None:
    """Until this transaction ends, for those that rightly wait for minutes on PostgreSQL."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")


def _limit_waiting(connection: Any, _record: Any) -> None:
    # Outside a transaction, with which it could be undone.
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = {LONGEST_WAIT_MS}")
    connection.autocommit = False


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is off: it would begin late and turn every read-then-write into a race.
    connection.isolation_level = None
    # Text that another program broke is read with a mark in it: an error would stop everybody for one reader's name.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    connection.execute(f"PRAGMA busy_timeout = {LONGEST_WAIT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads first cannot become a writer once another one wrote: it fails at once with
    # "database is locked" whatever the timeout. Taking the write lock at the start makes it wait instead.
    if connection.get_execution_options().get("read_only", False):
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(connection)


def _begin_writing(connection: Connection) -> None:
    """Wait for the lock by short sleeps. SQLite's own grow to a tenth of a second, and others pass meanwhile.

    After LONGEST_WAIT_MS, and for another trouble than the lock at once, it raises OperationalError.
    """
    driver = connection.connection
    begun = monotonic()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while _is_busy(driver) and (waited := monotonic() - begun) < LONGEST_WAIT_MS / 1000:
            # Never the same for two processes, so that they do not meet again and again.
            sleep(uniform(*LOOK_AGAIN_SECONDS) * (1 + LATER_LOOKS * min(waited, 1)))  # noqa: S311 - nothing secret.
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Once more by the engine, whose error is the one to raise.
    finally:
        driver.execute(f"PRAGMA busy_timeout = {LONGEST_WAIT_MS}")


def _is_busy(driver: Any) -> bool:
    """Try to take the lock. Whether somebody else has it; False when it is ours now, or cannot be had at all."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        # Of the extended code the lowest byte: the others say what kept it busy.
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def was_locked(error: DBAPIError) -> bool:
    """Whether somebody else had the lock for longer than we waited for it, and nothing worse."""
    if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")
