"""The ledger's tables: messages to one address each, mailings of many, what came back, who is not written to."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
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


class MailingState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    """Every delivery has come to its end, or is the operator's to decide."""


class Mailing(Base):
    """Many deliveries of one letter: what can be paused, resumed and cancelled, such as an issue of a newsletter."""

    __tablename__ = "mailings"
    __table_args__ = (UniqueConstraint("kind", "subject_id", name="uq_mailings_subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(40))
    state: Mapped[MailingState] = mapped_column(word(MailingState), default=MailingState.ACTIVE, index=True)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it is paused: what the mail server said, or None where an operator did it."""
    created_at: Mapped[datetime]
    counting_since: Mapped[datetime | None]
    """Since when `counted` messages were accepted; `rate` is that of the stretch before."""
    counted: Mapped[int] = mapped_column(default=0)
    rate: Mapped[float | None]
    """Messages a second that mail servers accepted lately, of all processes together."""


class Delivery(Base):
    """One message owed to one address: ids only, its content is composed when it is sent."""

    __tablename__ = "deliveries"
    __table_args__ = (
        # Mail that somebody waits for stands in an index of its own, which a digest for a million does not touch.
        Index(
            "ix_deliveries_due",
            "status",
            "due_at",
            "id",
            sqlite_where=text("mailing_id IS NULL"),
            postgresql_where=text("mailing_id IS NULL"),
        ),
        Index("ix_deliveries_mailing", "mailing_id", "status", "due_at", "id"),
        # Envelope senders name this id. SQLite would give that of a row which was deleted to the next one, and a bounce
        # that comes late would be the next reader's.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    """Says what would be the same message again, such as `digest:7:1234`."""
    kind: Mapped[str] = mapped_column(String(40))
    lane: Mapped[Lane] = mapped_column(word(Lane))
    mailing_id: Mapped[int | None] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    """Of deliveries in the bulk lane, which all belong to one."""
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


class PurgedDeliveries(Base):
    """How many deliveries of a mailing ended in one way and left the ledger since: its report still counts them."""

    __tablename__ = "purged_deliveries"

    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[Status] = mapped_column(word(Status), primary_key=True)
    reason: Mapped[str] = mapped_column(String(60), primary_key=True)
    """Empty where there was none."""
    count: Mapped[int]


class Claimed(NamedTuple):
    """A delivery as its claim found it; what whoever writes and sends it needs to know."""

    id: int
    kind: str
    subscriber_id: int | None
    subject_id: str
    recipient: str
    message_id: str
    attempts: int
    """This one included."""
    resends: int
    """This one included, if it is one."""
    created_at: datetime
    expires_at: datetime | None
    lane: Lane
    mailing_id: int | None
    claimed_by: str


SHARED = ("lane", "mailing_id", "claimed_by")
"""What all deliveries of one claim have in common; these fields are the last."""
CLAIMED = tuple(getattr(Delivery, name) for name in Claimed._fields)
"""The columns of a claimed delivery."""


class Scope(StrEnum):
    """What a suppression stops."""

    NEWSLETTERS = "newsletters"
    EVERYTHING = "everything"
    """Sign-in mail too, but for one a day: the mailbox may be there again."""


class Suppression(Base):
    """An address that nothing is written to, and why."""

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(primary_key=True)
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    reason: Mapped[str] = mapped_column(String(60))
    scope: Mapped[Scope] = mapped_column(word(Scope), server_default=Scope.EVERYTHING)
    created_at: Mapped[datetime]


class BounceKind(StrEnum):
    """What came back says of an address, whoever said it."""

    HARD = "hard"
    """There is no such mailbox."""
    SOFT = "soft"
    """The mailbox, or its server, did not take this one mail."""
    COMPLAINT = "complaint"
    """Its reader calls our mail spam."""


class Bounce(Base):
    """One event on record: so that it counts, and counts once however often it is told."""

    __tablename__ = "bounces"
    __table_args__ = (Index("ix_bounces_email_key_at", "email_key", "at"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[BounceKind] = mapped_column(word(BounceKind))
    email_key: Mapped[str] = mapped_column(String(320))
    message: Mapped[str] = mapped_column(String(200))
    """Which message came back, such as `delivery:47`: several reports of one count as one."""
    status: Mapped[str | None] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(index=True)
    is_forgiven: Mapped[bool] = mapped_column(default=False)
    """Whether the address was written to again since, so that it does not count any more."""
