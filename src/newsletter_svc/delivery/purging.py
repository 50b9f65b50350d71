"""Throwing away old deliveries, and noting how many of a mailing those were, so that its report stays true."""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, or_, select
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_into
from newsletter_svc.delivery.models import Delivery, Mailing, MailingState, PurgedDeliveries, Status

BATCH = 5_000
"""How many deliveries one transaction deletes: with a million of them, others would have to wait too long."""
_ENDED = (Status.SENT, Status.FAILED, Status.SUPPRESSED, Status.CANCELLED)
_OVER = (MailingState.DONE, MailingState.CANCELLED)


def purge(session: Session, *, retention: timedelta, now: datetime) -> int:
    """Throw away up to a batch of deliveries that ended longer ago than `retention`; how many, 0 when none is left.

    What is owed, in flight or the operator's to decide stays, whatever its age, and so does what belongs to a mailing
    that is not over.
    """
    before = now - retention
    for status in _ENDED:
        count = _purge_single(session, status, before) or _purge_of_a_mailing(session, status, before)
        if count:
            return count
    return 0


def _purge_single(session: Session, status: Status, before: datetime) -> int:
    return _delete(session, _old(Delivery.mailing_id.is_(None), status, before)).total()


def _purge_of_a_mailing(session: Session, status: Status, before: datetime) -> int:
    mailing_id = _mailing_with(session, status, before)
    if mailing_id is None:
        return 0
    reasons = _delete(session, _old(Delivery.mailing_id == mailing_id, status, before))
    _note(session, mailing_id, status, reasons)
    return reasons.total()


def _mailing_with(session: Session, status: Status, before: datetime) -> int | None:
    """The first mailing that has deliveries to throw away."""
    is_over = (
        Mailing.state.in_(_OVER),
        Mailing.created_at < before,
        # One that was held for months keeps all its deliveries until the last is old: else each day would read through
        # those that ended late.
        or_(Mailing.counting_since.is_(None), Mailing.counting_since < before),
    )
    # As a value, not as EXISTS: that PostgreSQL may answer for all mailings at once, by reading the whole ledger.
    first = _old(Delivery.mailing_id == Mailing.id, status, before).limit(1).correlate(Mailing).scalar_subquery()
    return session.scalars(select(Mailing.id).where(*is_over, first.is_not(None)).order_by(Mailing.id).limit(1)).first()


def _old(of_it: ColumnElement[bool], status: Status, before: datetime) -> Select[int]:
    """The ids, in the order of the index. It knows when deliveries were due, which is before they end but for few.

    Those few were cancelled ahead of their time, and go when that is old as well.
    """
    is_old = (Delivery.status == status, Delivery.due_at < before, Delivery.finished_at < before)
    return select(Delivery.id).where(of_it, *is_old).order_by(Delivery.due_at, Delivery.id)


def _delete(session: Session, old: Select[int]) -> Counter[str]:
    """Delete the first batch of them; how many there were for each reason."""
    # What somebody else has in hand, such as another purge, is theirs.
    chosen = old.limit(BATCH).with_for_update(skip_locked=True).cte("chosen")
    deleted = delete(Delivery).where(Delivery.id.in_(select(chosen.c.id))).returning(Delivery.reason)
    return Counter(reason or "" for reason in session.connection().execute(deleted).scalars())


def _note(session: Session, mailing_id: int, status: Status, reasons: Counter[str]) -> None:
    insert = insert_into(session.get_bind().dialect.name, PurgedDeliveries)
    add = insert.on_conflict_do_update(
        index_elements=["mailing_id", "status", "reason"],
        set_={"count": PurgedDeliveries.count + insert.excluded.count},
    )
    for reason, count in sorted(reasons.items()):
        session.execute(add.values(mailing_id=mailing_id, status=status, reason=reason, count=count))
