"""Ids of deliveries that were deleted are not given again on SQLite."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_deliveries_anew(counting_on=True)


def downgrade() -> None:
    _make_deliveries_anew(counting_on=False)


def _make_deliveries_anew(*, counting_on: bool) -> None:
    """PostgreSQL's sequence never goes back; SQLite counts on only in a table that was made so."""
    if op.get_context().dialect.name == "sqlite":
        with op.batch_alter_table("deliveries", recreate="always", table_kwargs={"sqlite_autoincrement": counting_on}):
            pass
