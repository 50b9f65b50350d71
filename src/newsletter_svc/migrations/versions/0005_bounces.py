"""Bounces on record, and what a suppression stops."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bounces",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("email_key", sa.String(length=320), nullable=False),
        sa.Column("message", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_forgiven", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounces")),
        sa.UniqueConstraint("event_id", name=op.f("uq_bounces_event_id")),
    )
    op.create_index(op.f("ix_bounces_at"), "bounces", ["at"], unique=False)
    op.create_index("ix_bounces_email_key_at", "bounces", ["email_key", "at"], unique=False)
    op.add_column("suppressions", sa.Column("scope", sa.String(length=20), server_default="everything", nullable=False))
    op.execute("UPDATE suppressions SET scope = 'newsletters' WHERE reason LIKE 'complaint%'")


def downgrade() -> None:
    op.drop_column("suppressions", "scope")
    op.drop_table("bounces")
