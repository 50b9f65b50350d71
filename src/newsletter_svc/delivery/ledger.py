"""The ledger: what is owed, who has taken it, and how it ended. Every change of a delivery's status stands here."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from uuid import uuid4

from sqlalchemy import ColumnElement, CursorResult, and_, case, select, update
from sqlalchemy.orm import Session

from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Delivery, Lane, Status

MOST_ENDED = 50
"""A claim looks at no more than so many times its limit, when most of what is due must not go out any more."""


class StillWanted(Protocol):
    """Which of these deliveries (by id) their readers still want. Features hand it over; delivery knows only kinds."""

    def __call__(self, session: Session, deliveries: Sequence[Delivery], *, now: datetime) -> set[int]: ...


@dataclass(frozen=True)
class Lease:
    """Who takes deliveries, and for how many seconds they are theirs."""

    worker: str
    seconds: int


def enqueue(
    session: Session,
    *,
    key: str,
    kind: str,
    lane: Lane,
    recipient: str,
    subscriber_id: int | None,
    subject_id: str,
    message_domain: str,
    now: datetime,
    expires_at: datetime | None = None,
    withheld: str | None = None,
) -> Delivery:
    """Owe one message, in the transaction of whatever caused it; or put on record, with the reason, that it is not."""
    delivery = Delivery(
        key=key,
        kind=kind,
        lane=lane,
        recipient=recipient,
        subscriber_id=subscriber_id,
        subject_id=subject_id,
        message_id=f"<{uuid4().hex}@{message_domain}>",
        status=Status.CANCELLED if withheld else Status.PENDING,
        due_at=now,
        expires_at=expires_at,
        reason=withheld,
        created_at=now,
        finished_at=now if withheld else None,
    )
    session.add(delivery)
    session.flush()
    return delivery


def owed(lane: Lane, now: datetime, *, journalled: Collection[str] = ()) -> list[ColumnElement[bool]]:
    """What is due, one condition for each way of being so: tried before, never answered (once), abandoned, waiting.

    A lease that ran out says nothing where the claim's journal can be read (`journalled`): that one decides. The
    conditions are read one by one along the index; joined by OR, a claim of a thousand would sort a million rows.
    """
    return [
        and_(Delivery.lane == lane, condition)
        for condition in (
            and_(Delivery.status == Status.RETRY, Delivery.due_at <= now),
            and_(Delivery.status == Status.UNKNOWN, Delivery.due_at <= now, Delivery.resends == 0),
            and_(
                Delivery.status == Status.CLAIMED,
                Delivery.leased_until <= now,
                Delivery.claimed_by.not_in(journalled),
            ),
            and_(Delivery.status == Status.PENDING, Delivery.due_at <= now),
        )
    ]


def anything_due(session: Session, lane: Lane, *, now: datetime) -> bool:
    return any(
        session.scalars(select(Delivery.id).where(condition).limit(1)).first() is not None
        for condition in owed(lane, now)
    )


def claim(
    session: Session,
    lane: Lane,
    *,
    lease: Lease,
    limit: int,
    wanted: Mapping[str, StillWanted],
    now: datetime,
    journalled: Collection[str] = (),
) -> list[Delivery]:
    """Take up to `limit` due deliveries; nobody else gets them until the lease runs out.

    Those that must not go out any more (suppressed, unsubscribed, too late) are ended here, and the next take their
    place; but only so many at once, since the transaction keeps others waiting.
    """
    good: list[Delivery] = []
    to_look_at = limit * MOST_ENDED
    for condition in owed(lane, now, journalled=journalled):
        while len(good) < limit and to_look_at > 0:
            taken = _take(session, condition, lease=lease, limit=limit - len(good), now=now)
            if not taken:
                break
            good += _without_unwanted(session, taken, wanted, now)
            to_look_at -= len(taken)
    return sorted(good, key=lambda row: row.id)


def _take(
    session: Session, condition: ColumnElement[bool], *, lease: Lease, limit: int, now: datetime
) -> Sequence[Delivery]:
    chosen = (
        select(Delivery.id)
        .where(condition)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # A CTE is read once. As a plain subquery PostgreSQL may run it again and lock more rows than the limit.
        .cte("chosen")
    )
    return session.scalars(
        update(Delivery)
        .where(Delivery.id.in_(select(chosen.c.id)))
        .values(
            status=Status.CLAIMED,
            claimed_by=lease.worker,
            leased_until=now + timedelta(seconds=lease.seconds),
            attempts=Delivery.attempts + 1,
            resends=case((Delivery.status == Status.UNKNOWN, Delivery.resends + 1), else_=Delivery.resends),
        )
        .returning(Delivery)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()


def _without_unwanted(
    session: Session, taken: Sequence[Delivery], wanted: Mapping[str, StillWanted], now: datetime
) -> list[Delivery]:
    suppressed = suppressions.blocked(session, taken, now=now)
    good: list[Delivery] = []
    for kind in sorted({delivery.kind for delivery in taken}):
        same_kind = [delivery for delivery in taken if delivery.kind == kind]
        still_wanted = wanted[kind](session, same_kind, now=now) if kind in wanted else {row.id for row in same_kind}
        for delivery in same_kind:
            if delivery.id in suppressed:
                _end(delivery, Status.SUPPRESSED, reason="suppressed", now=now)
            elif delivery.expires_at is not None and delivery.expires_at <= now:
                # Asked before what the reader wants: a dead link is not wanted either, but it is we who came too late.
                _end(delivery, Status.FAILED, reason="expired", now=now)
            elif delivery.id not in still_wanted:
                _end(delivery, Status.CANCELLED, reason="not_wanted", now=now)
            else:
                good.append(delivery)
    return good


def _end(delivery: Delivery, status: Status, *, reason: str, now: datetime) -> None:
    delivery.status = status
    delivery.reason = reason
    delivery.finished_at = now
    delivery.claimed_by = None
    delivery.leased_until = None


def renew(session: Session, *, workers: Collection[str], until: datetime) -> None:
    """A claim whose sender lives on stays its own, also while a slow server takes minutes to reply."""
    session.execute(
        update(Delivery)
        .where(Delivery.status == Status.CLAIMED, Delivery.claimed_by.in_(workers))
        .values(leased_until=until)
        .execution_options(synchronize_session=False)
    )


def mark_sent(session: Session, delivery: Delivery, *, reply: str, now: datetime) -> bool:
    """The server has accepted it, with this reply."""
    return _mark(session, delivery, status=Status.SENT, reply=reply, reason=None, finished_at=now)


def mark_failed(session: Session, delivery: Delivery, *, reason: str, reply: str | None, now: datetime) -> bool:
    """It will not be tried again."""
    return _mark(session, delivery, status=Status.FAILED, reply=reply, reason=reason, finished_at=now)


def mark_retry(session: Session, delivery: Delivery, *, reason: str, reply: str | None, due_at: datetime) -> bool:
    """The server said "not now", or the letter could not be written: try again at `due_at`."""
    return _mark(session, delivery, status=Status.RETRY, reply=reply, reason=reason, due_at=due_at)


def postpone(session: Session, delivery: Delivery, *, reason: str, reply: str | None, due_at: datetime) -> bool:
    """The server could not be reached: no attempt counts, and what may have arrived stays `unknown`."""
    values = {"reply": reply, "reason": reason, "due_at": due_at}
    return _mark(session, delivery, **_untried(delivery, otherwise=Status.RETRY), **values)


def mark_unknown(session: Session, delivery: Delivery, *, resend_at: datetime) -> bool:
    """The final dot went out and no reply was seen: sent once more at `resend_at`, then left to the operator."""
    return _mark(session, delivery, status=Status.UNKNOWN, reply=None, reason="no_reply", due_at=resend_at)


def give_back(session: Session, delivery: Delivery) -> bool:
    """Not touched after all: as it was before the claim."""
    return _mark(session, delivery, **_untried(delivery, otherwise=Status.PENDING))


def give_back_all(session: Session, deliveries: Iterable[Delivery]) -> None:
    for delivery in deliveries:
        give_back(session, delivery)


def _untried(delivery: Delivery, *, otherwise: Status) -> dict[str, object]:
    was_unknown = delivery.resends > 0
    return {
        "status": Status.UNKNOWN if was_unknown else otherwise,
        "attempts": Delivery.attempts - 1,
        "resends": delivery.resends - 1 if was_unknown else 0,
    }


def _mark(session: Session, delivery: Delivery, **values: object) -> bool:
    # A worker that overslept its lease must not overwrite what its successor wrote: only the claim's owner marks.
    result = session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id, Delivery.status == Status.CLAIMED)
        .where(Delivery.claimed_by == delivery.claimed_by)
        .values(claimed_by=None, leased_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    return bool(cast(CursorResult[Any], result).rowcount)
