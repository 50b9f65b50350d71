"""The audit trail: security events as rows and as structured logs, with ids, never with addresses or tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import BigInteger, ForeignKey, Integer, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from newsletter_svc.db import Base, delete_where, insert_row, word
from newsletter_svc.tokens import Keyring

PEER_DIGITS = 16

log = structlog.get_logger()


class Event(StrEnum):
    """What can happen to a reader's sign-in, data or billing, to operators' keys, or to an issue by their hand."""

    ASKED = "asked"
    """A mail with a link is owed; the reason says which one."""
    WITHHELD = "withheld"
    """Answered like `asked`, and nothing is sent; the reason says why."""
    SENT = "sent"
    REDEEMED = "redeemed"
    REFUSED = "refused"
    """A link or code of ours that did not work; the reason is never told to who tried it."""
    SIGNED_OUT = "signed_out"
    LIMITED = "limited"
    """Turned away for asking too often, once for each window; the reason says by which limit."""
    KEY_MADE = "key_made"
    KEY_REVOKED = "key_revoked"
    KEY_REFUSED = "key_refused"
    DIGEST_PAUSED = "digest_paused"
    DIGEST_RESUMED = "digest_resumed"
    DIGEST_CANCELLED = "digest_cancelled"
    ERASED = "erased"
    """Somebody's data are gone; the reason says whether the reader or an operator wanted it, nothing says whose."""
    ADDRESS_CHANGED = "address_changed"
    ADDRESS_RESTORED = "address_restored"
    """The change was undone from the old address."""
    BILLING_UPDATED = "billing_updated"
    BILLING_LINKED = "billing_linked"
    """A subscriber is a customer at Stripe now; the reason says by what."""


class SecurityEvent(Base):
    """One line of the trail."""

    __tablename__ = "security_events"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    event: Mapped[Event] = mapped_column(word(Event))
    reason: Mapped[str | None] = mapped_column(String(60))
    subscriber_id: Mapped[int | None] = mapped_column(ForeignKey("subscribers.id", ondelete="SET NULL"), index=True)
    subject: Mapped[str | None] = mapped_column(String(60))
    """What it happened to, such as `link:9f0c...`, `delivery:47`, `session:3`, `key:1` or `digest:7`."""
    peer: Mapped[str | None] = mapped_column(String(PEER_DIGITS))
    """Where it came from: equal for requests from one address, and no way back to it without the secret key."""


def record(
    session: Session,
    event: Event,
    *,
    reason: str | None = None,
    subscriber_id: int | None = None,
    subject: str | None = None,
    peer: str | None = None,
    now: datetime,
) -> None:
    """Add a line to the trail, in the transaction of what happened. `peer` is what `hashed_peer` made."""
    line = {
        "at": now,
        "event": event,
        "reason": reason,
        "subscriber_id": subscriber_id,
        "subject": subject,
        "peer": peer,
    }
    insert_row(session, SecurityEvent, line)
    log_only(event, reason=reason, subscriber=subscriber_id, subject=subject, peer=peer)


def log_only(event: Event, **details: object) -> None:
    """An event that leaves no row: strangers who send noise must not fill the database."""
    log.info("security_event", what=event.value, **{name: each for name, each in details.items() if each is not None})


def hashed_peer(keyring: Keyring, peer: str) -> str:
    """16 digits in place of an IP address: there are too few addresses for a hash without a key to hide one."""
    return keyring.derive(keyring.newest, "peer", peer).hex()[:PEER_DIGITS]


def trail(session: Session, subscriber_id: int) -> Sequence[SecurityEvent]:
    """Everything on record about one subscriber, oldest first."""
    mine = select(SecurityEvent).where(SecurityEvent.subscriber_id == subscriber_id)
    return session.scalars(mine.order_by(SecurityEvent.at, SecurityEvent.id)).all()


def purge(session: Session, *, retention: timedelta, now: datetime) -> int:
    """Forget what is older than `retention`; how many lines that were."""
    return delete_where(session, SecurityEvent, SecurityEvent.at < now - retention)
