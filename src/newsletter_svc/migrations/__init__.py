"""The database's history, and how to walk it from code: migrations travel inside the package."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from newsletter_svc import locks
from newsletter_svc.db import Database

# Alembic is imported where it is needed: most commands never migrate, and it takes longer than all that they do need.
if TYPE_CHECKING:
    from alembic.config import Config

TURN = 7_316_201
"""The number of the lock that PostgreSQL keeps while one process migrates."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to `revision`. Two that start together take turns."""
    from alembic import command

    _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to `revision`; `base` is nothing at all."""
    from alembic import command

    _run(database, command.downgrade, revision)


def is_current(connection: Connection) -> bool:
    """Whether the tables have the form that this code expects."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == newest


def config() -> "Config":
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "newline")
    return settings


def _run(database: Database, walk: "Callable[[Config, str], None]", revision: str) -> None:
    with database.engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            # SQLite alters a table by making it anew; references to it must not be checked (and cascade) meanwhile.
            # The pragma counts only outside a transaction, hence on the driver's own connection.
            driver: Any = connection.connection.dbapi_connection
            driver.execute("PRAGMA foreign_keys = OFF")
        with connection.begin():
            locks.wait_without_end(connection)
            if not is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")
            settings = config()
            settings.attributes["connection"] = connection
            walk(settings, revision)
            if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("the migration would leave rows that refer to nothing; nothing was changed")
        connection.invalidate()  # The next user of the pool gets a connection that checks references.
