"""Statements of the busiest doors: put into words once for each database, and run by its driver.

SQLAlchemy takes three to ten times as long to run a small statement as the database does. What is kept of it: the
words, the types of the values, the transaction, and its errors.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

Process = Callable[[Any], Any]


class Prepared:
    """One statement. Its values are named as its columns and parameters are; all of them must be given.

    Python's defaults of columns are not applied, and rows come back as the driver reads them: choose columns that both
    databases give as the same numbers and texts.
    """

    def __init__(self, make: Callable[[str], Executable], *, columns: Collection[str] | None = None) -> None:
        """`make` is called with the database's name; `columns` are those that an INSERT fills."""
        self._make = make
        self._columns = columns
        self._worded: dict[str, _Worded] = {}

    def run(self, session: Session, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Run it in the session's transaction, and return all rows that come back."""
        connection = session.connection()
        name = connection.dialect.name
        worded = self._worded.get(name)
        if worded is None:
            worded = self._worded[name] = self._word(connection.dialect)
        return worded.run(connection, values)

    def _word(self, dialect: Dialect) -> "_Worded":
        compiled = self._make(dialect.name).compile(dialect=dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        return _Worded(compiled, dialect)


class _Worded:
    """A statement in the words of one database."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._sql = str(compiled)
        self._places = compiled.positiontup
        self._processes: dict[str, Process] = {
            name: process
            for bind, name in compiled.bind_names.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        # What stands in the statement itself is made ready once.
        constants = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        ready = {name: self._processes.pop(name)(constants[name]) for name in constants.keys() & self._processes.keys()}
        self._constants = {**constants, **ready}
        self._error: type[Exception] = dialect.loaded_dbapi.Error

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        given = {**self._constants, **values}
        for name, process in self._processes.items():
            given[name] = process(given[name])
        parameters = given if self._places is None else tuple(map(given.__getitem__, self._places))
        driver: Any = connection.connection.driver_connection
        try:
            cursor = driver.execute(self._sql, parameters)
            return cursor.fetchall() if cursor.description else ()
        except self._error as error:
            # What SQLAlchemy makes of it, too: whoever waits for a busy database knows no driver.
            raise DBAPIError.instance(
                self._sql, None, error, self._error, hide_parameters=True, dialect=connection.dialect
            ) from error
