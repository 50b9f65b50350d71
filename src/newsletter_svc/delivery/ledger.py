"""The ledger: owing a message, and taking what is due. How deliveries end stands in `marks`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress, groupby
from operator import attrgetter
from typing import Protocol
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, case, exists, insert, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change
from newsletter_svc.delivery import leases, suppressions
from newsletter_svc.delivery.models import SHARED, Claimed, Delivery, Lane, Status
from newsletter_svc.prepared import Prepared

MOST_ENDED = 50
"""A claim looks at no more than so many times its limit, when most of what is due must not go out any more."""


class StillWanted(Protocol):
    """Which of these deliveries (by id) their readers still want. Features hand it over; delivery knows only kinds."""

    def __call__(self, session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]: ...


_DIFFERING = tuple(getattr(Delivery, name) for name in Claimed._fields if name not in SHARED)


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
    recipient: str,
    subscriber_id: int | None,
    subject_id: str,
    message_domain: str,
    now: datetime,
    expires_at: datetime | None = None,
    withheld: str | None = None,
) -> int:
    """Owe one message that somebody waits for, in the transaction of whatever caused it; return the delivery's id.

    Or put on record, with the reason `withheld`, that it is not owed.
    """
    values = {
        "key": key,
        "kind": kind,
        "lane": Lane.TRANSACTIONAL,
        "recipient": recipient,
        "subscriber_id": subscriber_id,
        "subject_id": subject_id,
        "message_id": f"<{uuid4().hex}@{message_domain}>",
        "status": Status.CANCELLED if withheld else Status.PENDING,
        "attempts": 0,
        "resends": 0,
        "due_at": now,
        "expires_at": expires_at,
        "reason": withheld,
        "created_at": now,
        "finished_at": now if withheld else None,
    }
    return int(_ENQUEUE.run(session, values)[0][0])


_ENQUEUE = Prepared(
    lambda _: insert(Delivery).returning(Delivery.id),
    columns=(
        "key",
        "kind",
        "lane",
        "recipient",
        "subscriber_id",
        "subject_id",
        "message_id",
        "status",
        "attempts",
        "resends",
        "due_at",
        "expires_at",
        "reason",
        "created_at",
        "finished_at",
    ),
)


def owed(mailing_id: int | None, now: datetime) -> list[ColumnElement[bool]]:
    """What is due of a mailing, or (None) of mail that somebody waits for: one condition for each way of being so.

    Tried before, never answered (once), waiting. The conditions are read one by one along the index; joined by OR, a
    claim of a thousand would sort a million rows.
    """
    of_it = Delivery.mailing_id.is_(None) if mailing_id is None else Delivery.mailing_id == mailing_id
    return [
        and_(of_it, condition, Delivery.due_at <= now)
        for condition in (
            Delivery.status == Status.RETRY,
            and_(Delivery.status == Status.UNKNOWN, Delivery.resends == 0),
            Delivery.status == Status.PENDING,
        )
    ]


def anything_due(session: Session, mailing_id: int | None, *, now: datetime) -> bool:
    return bool(due_ways(session, mailing_id, now=now))


def due_ways(session: Session, mailing_id: int | None, *, now: datetime) -> list[ColumnElement[bool]]:
    """Those of the ways to be `owed` in which something is: to look is cheaper than to claim in vain."""
    ways = owed(mailing_id, now)
    found = session.execute(select(*(exists().where(way) for way in ways))).one()
    return list(compress(ways, found))


def is_more_due_than(count: int, session: Session, mailing_id: int | None, *, now: datetime) -> bool:
    """Whether another sender would find something to do beside one that takes so many."""
    found = 0
    for condition in owed(mailing_id, now):
        found += len(session.scalars(select(Delivery.id).where(condition).limit(count + 1 - found)).all())
        if found > count:
            return True
    return False


def claim(
    session: Session,
    mailing_id: int | None,
    *,
    lease: Lease,
    limit: int,
    wanted: Mapping[str, StillWanted],
    now: datetime,
    ways: Sequence[ColumnElement[bool]] | None = None,
) -> list[Claimed]:
    """Take up to `limit` due deliveries of a mailing, or (None) of those that somebody waits for.

    Nobody else gets them until the lease has run out. Those that must not go out any more (suppressed, unsubscribed,
    too late) are ended here, and the next take their place; but only so many at once, since the transaction keeps
    others waiting. Whoever has looked which are the `due_ways` passes them.
    """
    good: list[Claimed] = []
    to_look_at = limit * MOST_ENDED
    for condition in owed(mailing_id, now) if ways is None else ways:
        while len(good) < limit and to_look_at > 0:
            taken = _take(session, mailing_id, condition, lease=lease, limit=limit - len(good), now=now)
            if not taken:
                break
            good += _without_unwanted(session, taken, wanted, now)
            to_look_at -= len(taken)
    return sorted(good)


def _take(
    session: Session,
    mailing_id: int | None,
    condition: ColumnElement[bool],
    *,
    lease: Lease,
    limit: int,
    now: datetime,
) -> list[Claimed]:
    chosen = (
        select(Delivery.id)
        .where(condition)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # A CTE is read once. As a plain subquery PostgreSQL may run it again and lock more rows than the limit.
        .cte("chosen")
    )
    taken = (
        update(Delivery)
        .where(Delivery.id.in_(select(chosen.c.id)))
        .values(
            status=Status.CLAIMED,
            claimed_by=lease.worker,
            leased_until=leases.clock(session, now) + timedelta(seconds=lease.seconds),
            attempts=Delivery.attempts + 1,
            resends=case((Delivery.status == Status.UNKNOWN, Delivery.resends + 1), else_=Delivery.resends),
        )
        .returning(*_DIFFERING)
        .execution_options(synchronize_session=False)
    )
    # All at once, and only what differs: the way of each value through the layers costs more than the database.
    rows = session.connection().execute(taken).all()
    lane = Lane.TRANSACTIONAL if mailing_id is None else Lane.BULK
    shared = (lane, mailing_id, lease.worker)
    return [Claimed._make((*row, *shared)) for row in rows]


def _without_unwanted(
    session: Session, taken: Sequence[Claimed], wanted: Mapping[str, StillWanted], now: datetime
) -> list[Claimed]:
    suppressed = suppressions.blocked(session, taken, now=now)
    good: list[Claimed] = []
    ended: dict[tuple[Status, str], list[int]] = {}
    for kind, of_kind in _by_kind(taken):
        still_wanted = wanted[kind](session, of_kind, now=now) if kind in wanted else {row.id for row in of_kind}
        for row in of_kind:
            if row.id in suppressed:
                ended.setdefault((Status.SUPPRESSED, "suppressed"), []).append(row.id)
            elif row.expires_at is not None and row.expires_at <= now:
                # Asked before what the reader wants: a dead link is not wanted either, but it is we who came too late.
                ended.setdefault((Status.FAILED, "expired"), []).append(row.id)
            elif row.id not in still_wanted:
                ended.setdefault((Status.CANCELLED, "not_wanted"), []).append(row.id)
            else:
                good.append(row)
    for (status, reason), ids in ended.items():
        values = {"status": status, "reason": reason, "finished_at": now, "claimed_by": None, "leased_until": None}
        change(session, update(Delivery).where(Delivery.id.in_(ids)).values(values))
    return good


def _by_kind(rows: Sequence[Claimed]) -> Iterator[tuple[str, list[Claimed]]]:
    by_kind = attrgetter("kind")
    return ((kind, list(group)) for kind, group in groupby(sorted(rows, key=by_kind), by_kind))
