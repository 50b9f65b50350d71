"""What Alembic runs: on the connection that it is handed, or on DATABASE_URL for a developer's `alembic` command."""

import os
from typing import Literal

from alembic import context
from sqlalchemy import Enum
from sqlalchemy.engine import Connection

from newsletter_svc.db import Base, Database, UtcDateTime
from newsletter_svc.migrations import tables  # noqa: F401 - imported so that every table is known.


def in_plain_types(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Migrations speak of the database's types: ours may change, what happened does not."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=in_plain_types,
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with Database(os.environ["DATABASE_URL"]).engine.begin() as own:
        migrate(own)
