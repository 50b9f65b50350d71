"""How far an issue has come: its deliveries by status, why some failed, and who is still to be named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from newsletter_svc.delivery.models import Delivery, Mailing, Status
from newsletter_svc.digests.content import KIND

_OPEN = (Status.PENDING, Status.CLAIMED, Status.RETRY, Status.UNKNOWN)


@dataclass(frozen=True)
class Unsettled:
    """A delivery that nobody can call done: tried again at `due_at`, or sent without ever seeing a reply."""

    recipient: str
    status: Status
    reason: str | None
    due_at: datetime


@dataclass(frozen=True)
class Progress:
    """The counts add up to the number of readers that the digest was made for."""

    counts: Mapping[Status, int]
    failures: Mapping[str, int]
    unsettled: Sequence[Unsettled]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def in_flight(self) -> int:
        """How many some sender has taken and not yet marked."""
        return self.counts[Status.CLAIMED]

    @property
    def settled(self) -> int:
        """How many have come to their end: accepted, failed, suppressed or cancelled."""
        return self.total - sum(self.counts[status] for status in _OPEN)


def progress(session: Session, digest_id: int) -> Progress:
    """Count and name. Nothing here says "delivered": `sent` means that a mail server has accepted the message."""
    found = dict(
        session.execute(select(Delivery.status, func.count()).where(_of(digest_id)).group_by(Delivery.status)).all()
    )
    return Progress(
        counts={status: found.get(status, 0) for status in Status},
        failures=_failures(session, digest_id),
        unsettled=_unsettled(session, digest_id),
    )


def anything_unfinished(session: Session, digest_id: int, *, now: datetime) -> bool:
    """Whether a sender has something of it in hand, or could take something now."""
    in_hand = Delivery.status.in_([Status.PENDING, Status.CLAIMED])
    again = (Delivery.status == Status.RETRY) & (Delivery.due_at <= now)
    # Sent once more when no reply was seen; after that it is the operator's.
    unanswered = (Delivery.status == Status.UNKNOWN) & (Delivery.due_at <= now) & (Delivery.resends == 0)
    query = select(Delivery.id).where(_of(digest_id), in_hand | again | unanswered).limit(1)
    return session.scalars(query).first() is not None


def _failures(session: Session, digest_id: int) -> dict[str, int]:
    reason = func.coalesce(Delivery.reason, "unknown reason")
    rows = session.execute(
        select(reason, func.count())
        .where(_of(digest_id), Delivery.status == Status.FAILED)
        .group_by(reason)
        .order_by(func.count().desc(), reason)
    )
    return dict(rows.all())


def _unsettled(session: Session, digest_id: int) -> list[Unsettled]:
    rows = session.execute(
        select(Delivery.recipient, Delivery.status, Delivery.reason, Delivery.due_at)
        .where(_of(digest_id), Delivery.status.in_([Status.RETRY, Status.UNKNOWN]))
        .order_by(Delivery.status, Delivery.id)
    )
    return [Unsettled(*row) for row in rows]


def _of(digest_id: int) -> ColumnElement[bool]:
    mailing = select(Mailing.id).where(Mailing.kind == KIND, Mailing.subject_id == str(digest_id))
    return Delivery.mailing_id == mailing.scalar_subquery()
