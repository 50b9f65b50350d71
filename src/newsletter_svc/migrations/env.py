"""What Alembic runs: on the connection that it is handed, or on DATABASE_URL for a developer's `alembic` command."""

import os

from alembic import context
from sqlalchemy.engine import Connection

from newsletter_svc.db import Base, Database
from newsletter_svc.migrations import tables  # noqa: F401 - imported so that every table is known.


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
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
