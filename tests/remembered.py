"""What every application makes anew, and is the same each time, is kept for the next test: statements, pages, routes.

Each test has an application and a database of its own. Most of its time would go into putting the same statements into
words, compiling the same pages and building the same routes; a process of the service does that once.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.routing import Rule

_STATEMENTS: dict[Any, Any] = {}
_BUILDERS: dict[Any, Callable[..., tuple[str, str]]] = {}


class _Alike:
    """Dialects of one kind are the same key: SQLAlchemy keeps a statement's words for the dialect they are made for."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class Sqlite(_Alike, SQLiteDialect_pysqlite):
    supports_statement_cache = True  # SQLAlchemy asks each class by itself.


class Postgres(_Alike, PGDialect_psycopg):
    supports_statement_cache = True


class _Pages(BytecodeCache):
    """The compiled pages; the mails have a cache of their own."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key + bucket.checksum in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key + bucket.checksum])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


class _Route(Rule):
    """Werkzeug writes, and compiles, two functions for each route of each application."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, self.subdomain, append_unknown, *sorted((self.defaults or {}).items()))
        if key not in _BUILDERS:
            _BUILDERS[key] = super()._compile_builder(append_unknown)
        return _BUILDERS[key]


def _spare(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_STATEMENTS)
    if connection.dialect.name == "sqlite":
        # No test pulls the plug; what a killed process wrote is there without waiting for the disk.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA synchronous = OFF")


def remember() -> None:
    """From now on, in this process."""
    registry.register("sqlite", __name__, Sqlite.__name__)
    registry.register("postgresql.psycopg", __name__, Postgres.__name__)
    event.listen(Engine, "engine_connect", _spare)
    Flask.jinja_options = {"bytecode_cache": _Pages()}
    Flask.url_rule_class = _Route
