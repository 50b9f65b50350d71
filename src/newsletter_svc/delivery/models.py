"""The ledger's table: one row for each message to one address."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.db import Base, word

BigKey = BigInteger().with_variant(Integer(), "sqlite")


class Status(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"
    """The mail server has accepted it; nobody here knows more than that."""
    RETRY = "retry"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The final dot went out and no reply was seen."""


class Lane(StrEnum):
    TRANSACTIONAL = "transactional"
    """Somebody waits for this mail in front of a page."""
    BULK = "bulk"


class Delivery(Base):
    """One message owed to one address: ids only, its content is composed when it is sent."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_due", "lane", "status", "due_at", "id"),
        Index("ix_deliveries_kind_subject_id_status", "kind", "subject_id", "status"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    """Says what would be the same message again, such as `digest:7:1234`."""
    kind: Mapped[str] = mapped_column(String(40))
    lane: Mapped[Lane] = mapped_column(word(Lane))
    subscriber_id: Mapped[int | None] = mapped_column(ForeignKey("subscribers.id", ondelete="SET NULL"), index=True)
    subject_id: Mapped[str] = mapped_column(String(40))
    """The row that the letter is made from: a magic link's id, a digest's id."""
    recipient: Mapped[str] = mapped_column(String(320))
    message_id: Mapped[str] = mapped_column(String(200))
    """With its angle brackets; fixed here, so that every retry is recognised as the same message."""
    status: Mapped[Status] = mapped_column(word(Status), default=Status.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    resends: Mapped[int] = mapped_column(default=0)
    """How often it was sent again without knowing how the time before had ended: once at most."""
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """After this there is no point in sending it: a sign-in link would arrive dead."""
    claimed_by: Mapped[str | None] = mapped_column(String(80))
    leased_until: Mapped[datetime | None]
    reply: Mapped[str | None] = mapped_column(Text)
    """What the mail server said last, such as `250 2.0.0 Ok: queued as 4F1`."""
    reason: Mapped[str | None] = mapped_column(String(60))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Suppression(Base):
    """An address that nothing is written to, and why."""

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(primary_key=True)
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    reason: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime]
