"""Erased addresses, and ids of subscribers that are never given twice."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased_addresses",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_erased_addresses")),
    )
    op.create_table(
        "erasure_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed_by", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_keys")),
    )
    _make_subscribers_anew(counting_on=True)


def downgrade() -> None:
    _make_subscribers_anew(counting_on=False)
    op.drop_table("erasure_keys")
    op.drop_table("erased_addresses")


def _make_subscribers_anew(*, counting_on: bool) -> None:
    """PostgreSQL's sequence never goes back; SQLite counts on only in a table that was made so."""
    if op.get_context().dialect.name == "sqlite":
        with op.batch_alter_table("subscribers", recreate="always", table_kwargs={"sqlite_autoincrement": counting_on}):
            pass
