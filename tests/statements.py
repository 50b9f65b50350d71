"""Watching what a database is told, by its driver: whatever is sent, by whatever layer, is seen."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import event

from newsletter_svc.db import Database

VALUE = re.compile(r"'(?:[^']|'')*'|\b\d+\b|\bNULL\b")
"""What SQLite fills in before it shows a statement."""


def sent(database: Database, work: Callable[[], object]) -> list[str]:
    """The statements that some work sends by new connections, without their values."""
    statements: list[str] = []

    class Watched(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **options: Any) -> "Watched":
            statements.append(str(query))
            super().execute(query, *given, **options)
            return self

    def watch(connection: Any, *_: Any) -> None:
        if isinstance(connection, psycopg.Connection):
            connection.cursor_factory = Watched
        else:
            connection.set_trace_callback(lambda statement: statements.append(VALUE.sub("?", statement)))

    database.engine.dispose()
    event.listen(database.engine, "checkout", watch)
    work()
    event.remove(database.engine, "checkout", watch)
    database.engine.dispose()
    return statements
