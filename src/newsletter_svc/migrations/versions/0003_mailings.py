"""Mailings: what can be paused, and what the bulk lane claims by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MAILINGS_OF_OLD_ISSUES = """
    INSERT INTO mailings (kind, subject_id, state, created_at, counted)
    SELECT kind, subject_id, 'active', min(created_at), 0 FROM deliveries WHERE lane = 'bulk' GROUP BY kind, subject_id
"""
_DELIVERIES_OF_OLD_ISSUES = """
    UPDATE deliveries SET mailing_id = (
        SELECT id FROM mailings
        WHERE mailings.kind = deliveries.kind AND mailings.subject_id = deliveries.subject_id
    ) WHERE lane = 'bulk'
"""


def upgrade() -> None:
    op.create_table(
        "mailings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailings")),
        sa.UniqueConstraint("kind", "subject_id", name="uq_mailings_subject"),
    )
    op.create_index(op.f("ix_mailings_state"), "mailings", ["state"], unique=False)
    op.execute(_MAILINGS_OF_OLD_ISSUES)
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_deliveries_due")
        batch_op.drop_index("ix_deliveries_kind_subject_id_status")
        batch_op.add_column(sa.Column("mailing_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_deliveries_mailing_id"), "mailings", ["mailing_id"], ["id"], ondelete="CASCADE"
        )
    op.execute(_DELIVERIES_OF_OLD_ISSUES)
    is_single = sa.text("mailing_id IS NULL")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["status", "due_at", "id"],
        sqlite_where=is_single,
        postgresql_where=is_single,
    )
    op.create_index("ix_deliveries_mailing", "deliveries", ["mailing_id", "status", "due_at", "id"])


def downgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_deliveries_mailing")
        batch_op.drop_index("ix_deliveries_due")
        batch_op.drop_constraint(op.f("fk_deliveries_mailing_id"), type_="foreignkey")
        batch_op.drop_column("mailing_id")
        batch_op.create_index("ix_deliveries_due", ["lane", "status", "due_at", "id"], unique=False)
        batch_op.create_index("ix_deliveries_kind_subject_id_status", ["kind", "subject_id", "status"], unique=False)
    op.drop_table("mailings")
