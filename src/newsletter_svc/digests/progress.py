"""How far an issue has come: its deliveries by status, how fast it goes, why some failed, and who is to be named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, CompoundSelect, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session

from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Mailing, MailingState, PurgedDeliveries, Status
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import DigestSlot

MOST_NAMED = 200
"""So many deliveries of each status are named at most: whom a list of thousands would help, asks the database."""
_TO_SEND = (Status.PENDING, Status.CLAIMED)
_UNSETTLED = (Status.RETRY, Status.UNKNOWN)

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """The counts add up to the number of readers that the digest was made for."""

    counts: Mapping[Status, int]
    state: MailingState
    reason: str | None = None
    """Why it is paused; None where an operator did it."""
    later: int = 0
    """How many are pending until it is their readers' time, in zones and at hours to come."""
    rate: float | None = None
    """Messages a second lately; None where nobody is sending it."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def in_flight(self) -> int:
        """How many some sender has taken and not yet marked."""
        return self.counts[Status.CLAIMED]

    @property
    def to_send(self) -> int:
        """How many are sent as soon as a sender comes to them."""
        return sum(self.counts[status] for status in _TO_SEND) - self.later

    @property
    def unsettled(self) -> int:
        """How many are tried again later, or were sent without a reply."""
        return sum(self.counts[status] for status in _UNSETTLED)

    @property
    def settled(self) -> int:
        """How many have come to their end: accepted, failed, suppressed or cancelled."""
        return self.total - self.to_send - self.later - self.unsettled

    @property
    def seconds_left(self) -> float | None:
        """Until all of it was tried once, if it goes on as it does."""
        return self.to_send / self.rate if self.rate and self.state == MailingState.ACTIVE else None


@dataclass(frozen=True)
class Unsettled:
    """A delivery that nobody can call done: tried again later, or sent without ever seeing a reply."""

    recipient: str
    status: Status
    reason: str | None
    due_at: datetime | None
    """When it is sent again; None where that is left to the operator."""


@dataclass(frozen=True)
class Served:
    """One moment at which an issue is due somewhere: in which zones, for how many, and for how many still."""

    due_at: datetime
    places: Sequence[str]
    """Such as `07:00 Europe/London`."""
    readers: int
    left: int
    """How many are still pending since, or until, that moment."""


@dataclass(frozen=True)
class Report:
    """How an issue went, with what an operator may have to see to: up to MOST_NAMED of each status by name."""

    progress: Progress
    failures: Mapping[str, int]
    unsettled: Sequence[Unsettled]
    slots: Sequence[Served] = ()
    """When it is due where; empty for an issue that was sent by hand."""


def progress(session: Session, digest_id: int, *, now: datetime) -> Progress:
    """Count. Nothing here says "delivered": `sent` means that a mail server has accepted the message."""
    mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
    if mailing is None:  # An issue without readers, from the time before there were mailings.
        return Progress(dict.fromkeys(Status, 0), MailingState.DONE)
    found = _by_status(session, mailing.id)
    return Progress(
        counts={status: found[status] for status in Status},
        state=_state(mailing, found),
        reason=mailing.reason,
        later=sum(left for due_at, left in _pending(session, mailing.id).items() if due_at > now),
        rate=mailings.rate_of(mailing, now=now),
    )


def report(session: Session, digest_id: int, *, now: datetime) -> Report:
    """Count, and name what is unsettled."""
    counted = progress(session, digest_id, now=now)
    named = _named(session, digest_id, counted.state)
    return Report(counted, _failures(session, digest_id), named, _served(session, digest_id))


def anything_unfinished(session: Session, digest_id: int, *, now: datetime) -> bool:
    """Whether a sender has something of it in hand, or could take something now.

    Each way of being so is a look of its own into the index: as one condition, PostgreSQL reads all that is pending.
    They are one statement, since what is claimed between two of them would be seen by neither.
    """
    mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
    if mailing is None:
        return False
    ways: list[ColumnElement[bool]] = [(Delivery.status == Status.CLAIMED) & (Delivery.leased_until > now)]
    if mailing.state == MailingState.ACTIVE:
        ways += [
            Delivery.status == Status.CLAIMED,
            # What is due in zones to come is for another time, and nobody waits for it here.
            (Delivery.status == Status.PENDING) & (Delivery.due_at <= now),
            (Delivery.status == Status.RETRY) & (Delivery.due_at <= now),
            # Sent once more when no reply was seen; after that it is the operator's.
            (Delivery.status == Status.UNKNOWN) & (Delivery.due_at <= now) & (Delivery.resends == 0),
        ]
    looks = (select(Delivery.id).where(Delivery.mailing_id == mailing.id, way).exists() for way in ways)
    return session.scalars(select(or_(*looks))).one()


def _by_status(session: Session, mailing_id: int) -> Counter[Status]:
    """Those that were purged included; in one statement, so that none counts twice while that is going on."""
    kept = select(Delivery.status, func.count()).where(Delivery.mailing_id == mailing_id).group_by(Delivery.status)
    purged = select(PurgedDeliveries.status, PurgedDeliveries.count).where(PurgedDeliveries.mailing_id == mailing_id)
    return _added_up(session, kept.union_all(purged))


def _added_up(session: Session, counted: CompoundSelect[T, int]) -> Counter[T]:
    totals: Counter[T] = Counter()
    for what, count in session.execute(counted):
        totals[what] += count
    return totals


def _state(mailing: Mailing, found: Counter[Status]) -> MailingState:
    """The last delivery may have ended since a sender last looked whether the whole is done."""
    is_open = any(found[status] for status in (*_TO_SEND, *_UNSETTLED))
    return MailingState.DONE if mailing.state == MailingState.ACTIVE and not is_open else mailing.state


def _served(session: Session, digest_id: int) -> list[Served]:
    """In the order of their moments; those for nobody are left out."""
    mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
    pending = _pending(session, mailing.id) if mailing else {}
    due = select(DigestSlot).where(DigestSlot.digest_id == digest_id, DigestSlot.readers > 0)
    found = session.scalars(due.order_by(DigestSlot.due_at, DigestSlot.tz, DigestSlot.minute))
    return [
        Served(due_at, tuple(f"{each.at:%H:%M} {each.tz}" for each in slots), slots[0].readers, pending.get(due_at, 0))
        for due_at, slots in ((due_at, list(group)) for due_at, group in groupby(found, attrgetter("due_at")))
    ]


def _pending(session: Session, mailing_id: int) -> dict[datetime, int]:
    """How many wait for a sender or for their moment, by that moment."""
    is_waiting = (Delivery.mailing_id == mailing_id, Delivery.status == Status.PENDING)
    rows = session.execute(select(Delivery.due_at, func.count()).where(*is_waiting).group_by(Delivery.due_at))
    return dict(rows.all())


def _failures(session: Session, digest_id: int) -> dict[str, int]:
    """How many for each reason, the most frequent first."""
    mine = (_of(digest_id), Delivery.status == Status.FAILED)
    kept = select(func.coalesce(Delivery.reason, ""), func.count()).where(*mine).group_by(Delivery.reason)
    of_it = (PurgedDeliveries.mailing_id == _mailing_of(digest_id), PurgedDeliveries.status == Status.FAILED)
    purged = select(PurgedDeliveries.reason, PurgedDeliveries.count).where(*of_it)
    totals = [
        (-count, reason or "unknown reason") for reason, count in _added_up(session, kept.union_all(purged)).items()
    ]
    return {reason: -count for count, reason in sorted(totals)}


def _named(session: Session, digest_id: int, state: MailingState) -> list[Unsettled]:
    is_over = state in (MailingState.CANCELLED, MailingState.DONE)
    return [
        Unsettled(row.recipient, row.status, row.reason, None if is_over or row.resends else row.due_at)
        for status in _UNSETTLED
        for row in _rows(session, digest_id, status)
    ]


def _rows(session: Session, digest_id: int, status: Status) -> Sequence[Any]:
    """The first in the order of the index, so that no more are read than are named."""
    return session.execute(
        select(Delivery.recipient, Delivery.status, Delivery.reason, Delivery.due_at, Delivery.resends)
        .where(_of(digest_id), Delivery.status == status)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(MOST_NAMED)
    ).all()


def _of(digest_id: int) -> ColumnElement[bool]:
    return Delivery.mailing_id == _mailing_of(digest_id)


def _mailing_of(digest_id: int) -> ScalarSelect[int]:
    return select(Mailing.id).where(Mailing.kind == KIND, Mailing.subject_id == str(digest_id)).scalar_subquery()
