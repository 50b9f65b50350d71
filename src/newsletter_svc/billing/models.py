"""Tables of billing: who is which customer, each press of "update billing", and the events that were heard."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.db import Base

ID_LENGTH = 255
"""How long an id of Stripe's may be, by its documentation."""


class Customer(Base):
    """A subscriber who pays, or has paid, by Stripe."""

    __tablename__ = "billing_customers"

    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True)
    customer_id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    """Such as `cus_NffrFeUfNV2Hib`."""
    linked_at: Mapped[datetime]


class BillingUpdate(Base):
    """One press of "update billing". A later one has a higher number."""

    __tablename__ = "billing_updates"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True, default=lambda: uuid4().hex)
    """Cannot be guessed. The Idempotency-Key of the payment page, and how the way back names this row."""
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    customer_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    """Whose card it is about, also when the subscriber becomes another customer meanwhile."""
    redirect: Mapped[str] = mapped_column(String(2_000))
    """The page of the frontend to go back to."""
    session_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), unique=True)
    """The Checkout session behind the payment page; None until Stripe has answered."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None]


class HeardEvent(Base):
    """An event that has had its effect, so that hearing it again has none."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    heard_at: Mapped[datetime] = mapped_column(index=True)
