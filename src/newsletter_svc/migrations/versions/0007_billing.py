"""Billing: customers, presses of "update billing", events that were heard."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "billing_customers",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=255), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_billing_customers_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_billing_customers")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_billing_customers_customer_id")),
    )
    op.create_table(
        "billing_updates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=255), nullable=False),
        sa.Column("redirect", sa.String(length=2000), nullable=False),
        sa.Column("session_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_billing_updates_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_updates")),
        sa.UniqueConstraint("key", name=op.f("uq_billing_updates_key")),
        sa.UniqueConstraint("session_id", name=op.f("uq_billing_updates_session_id")),
    )
    with op.batch_alter_table("billing_updates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_billing_updates_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_billing_updates_customer_id"), ["customer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_billing_updates_subscriber_id"), ["subscriber_id"], unique=False)

    op.create_table(
        "stripe_events",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_events")),
    )
    with op.batch_alter_table("stripe_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stripe_events_heard_at"), ["heard_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("stripe_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stripe_events_heard_at"))

    op.drop_table("stripe_events")
    with op.batch_alter_table("billing_updates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_billing_updates_subscriber_id"))
        batch_op.drop_index(batch_op.f("ix_billing_updates_customer_id"))
        batch_op.drop_index(batch_op.f("ix_billing_updates_created_at"))

    op.drop_table("billing_updates")
    op.drop_table("billing_customers")
