"""What readers choose: how often, when and where, in which language; and when an issue is due in each zone."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

_CHOSE_A_TIME = sa.text("send_hour IS NOT NULL OR timezone IS NOT NULL")


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("send_hour", sa.Integer(), nullable=True))
    op.add_column("subscribers", sa.Column("timezone", sa.String(length=64), nullable=True))
    op.add_column("subscribers", sa.Column("language", sa.String(length=35), nullable=True))
    op.create_index(
        "ix_subscribers_times",
        "subscribers",
        ["timezone", "send_hour"],
        sqlite_where=_CHOSE_A_TIME,
        postgresql_where=_CHOSE_A_TIME,
    )
    op.add_column("subscriptions", sa.Column("frequency", sa.String(length=20), nullable=True))
    op.add_column("subscriptions", sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "digest_slots",
        sa.Column("digest_id", sa.Integer(), nullable=False),
        sa.Column("tz", sa.String(length=64), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("readers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest_id"], ["digests.id"], name=op.f("fk_digest_slots_digest_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest_id", "tz", "minute", name=op.f("pk_digest_slots")),
    )


def downgrade() -> None:
    op.drop_table("digest_slots")
    op.drop_column("subscriptions", "paused_until")
    op.drop_column("subscriptions", "frequency")
    op.drop_index("ix_subscribers_times", table_name="subscribers")
    op.drop_column("subscribers", "language")
    op.drop_column("subscribers", "timezone")
    op.drop_column("subscribers", "send_hour")
