"""Mailings: beginning, pausing, resuming, cancelling, closing. Every change of a mailing's state stands here."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change
from newsletter_svc.delivery.models import Delivery, Mailing, MailingState, Status

CHUNK = 5_000
"""How many deliveries one transaction cancels: with a million of them, others would have to wait too long."""
COUNTING = timedelta(seconds=5)
"""For how long accepted messages are counted until they say how many a second that is."""


def begin(session: Session, *, kind: str, subject_id: str, now: datetime) -> int:
    """Open the mailing that deliveries of this letter belong to; return its id."""
    mailing = Mailing(kind=kind, subject_id=subject_id, created_at=now)
    session.add(mailing)
    session.flush()
    return mailing.id


def find(session: Session, *, kind: str, subject_id: str) -> Mailing | None:
    return session.scalars(select(Mailing).where(Mailing.kind == kind, Mailing.subject_id == subject_id)).one_or_none()


def active(session: Session) -> Sequence[int]:
    """The ids of those that go out, the oldest first."""
    return session.scalars(select(Mailing.id).where(Mailing.state == MailingState.ACTIVE).order_by(Mailing.id)).all()


def inactive(session: Session, mailing_ids: Collection[int]) -> set[int]:
    """Which of these must not go on: paused or cancelled since."""
    is_one = Mailing.id.in_(mailing_ids)
    return set(session.scalars(select(Mailing.id).where(is_one, Mailing.state != MailingState.ACTIVE)))


def pause(session: Session, mailing_id: int, *, reason: str | None = None) -> bool:
    """Claim nothing of it any more; False unless it was active. What is in flight ends."""
    return _change(session, mailing_id, MailingState.PAUSED, only_from={MailingState.ACTIVE}, reason=reason)


def resume(session: Session, mailing_id: int) -> bool:
    """Let it go on where it was; False unless it was paused. Nothing is sent twice by that: rows say what is owed."""
    return _change(session, mailing_id, MailingState.ACTIVE, only_from={MailingState.PAUSED})


def cancel(session: Session, mailing_id: int) -> bool:
    """Let nothing more of it out; False where it was over already. `end_cancelled` then ends what is owed."""
    going = {MailingState.ACTIVE, MailingState.PAUSED}
    return _change(session, mailing_id, MailingState.CANCELLED, only_from=going)


def end_cancelled(session: Session, mailing_id: int, *, now: datetime) -> int:
    """End up to CHUNK deliveries of a cancelled mailing; return how many those were, 0 when all are ended.

    Deliveries in flight end as they end, and what may have arrived stays `unknown`.
    """
    is_owed = Delivery.status.in_([Status.PENDING, Status.RETRY])
    owed = (
        select(Delivery.id)
        .where(Delivery.mailing_id == mailing_id, is_owed)
        .where(_is_cancelled(mailing_id))
        .limit(CHUNK)
    )
    return change(
        session,
        update(Delivery)
        # Asked once more of the row as it is now: a sender may have claimed it since it was chosen.
        .where(Delivery.id.in_(owed), is_owed)
        .values(status=Status.CANCELLED, reason="cancelled", finished_at=now),
    )


def cancelled_with_rest(session: Session) -> Sequence[int]:
    """The cancelled mailings that have deliveries to end, such as those that a sender gave back since."""
    rest = select(Delivery.id).where(
        Delivery.mailing_id == Mailing.id, Delivery.status.in_([Status.PENDING, Status.RETRY])
    )
    return session.scalars(
        select(Mailing.id).where(Mailing.state == MailingState.CANCELLED, rest.exists()).order_by(Mailing.id)
    ).all()


def is_finished(session: Session, mailing_id: int) -> bool:
    """Whether `close_finished` would close it; takes no lock."""
    return not session.scalars(select(_has_rest(mailing_id))).one()


def close_finished(session: Session, mailing_id: int) -> bool:
    """Call it done when nothing of it is owed or in flight any more; says whether that is so."""
    active = (Mailing.id == mailing_id, Mailing.state == MailingState.ACTIVE)
    done = update(Mailing).where(*active, ~_has_rest(mailing_id)).values(state=MailingState.DONE)
    return change(session, done) == 1


def _has_rest(mailing_id: int) -> ColumnElement[bool]:
    """Whether something of it will still be tried: owed, in flight, or sent once more.

    Each way of being so is a look of its own into the index: as one condition, it is asked of a million that were sent.
    """
    ways = (
        Delivery.status == Status.PENDING,
        Delivery.status == Status.CLAIMED,
        Delivery.status == Status.RETRY,
        and_(Delivery.status == Status.UNKNOWN, Delivery.resends == 0),
    )
    return or_(*(select(Delivery.id).where(Delivery.mailing_id == mailing_id, way).exists() for way in ways))


def count_accepted(session: Session, mailing_id: int, count: int, *, now: datetime) -> None:
    """Add to what tells the rate: how many messages were accepted since the last time."""
    mailing = session.get_one(Mailing, mailing_id, with_for_update=True)
    since = mailing.counting_since
    if since is None or now - since > 4 * COUNTING:
        # It began, or went on after a pause: the time before says nothing about the rate.
        mailing.counting_since, mailing.counted = now, 0
        return
    mailing.counted += count
    if now - since >= COUNTING:
        mailing.rate = mailing.counted / (now - since).total_seconds()
        mailing.counting_since, mailing.counted = now, 0


def rate_of(mailing: Mailing, *, now: datetime) -> float | None:
    """Messages a second lately; None where nobody is sending it."""
    since = mailing.counting_since
    return None if since is None or now - since > 4 * COUNTING else mailing.rate


def _is_cancelled(mailing_id: int) -> ColumnElement[bool]:
    state = select(Mailing.state).where(Mailing.id == mailing_id).scalar_subquery()
    return state == MailingState.CANCELLED


def _change(
    session: Session,
    mailing_id: int,
    state: MailingState,
    *,
    only_from: set[MailingState],
    reason: str | None = None,
) -> bool:
    changed = update(Mailing).where(Mailing.id == mailing_id, Mailing.state.in_(only_from))
    return change(session, changed.values(state=state, reason=reason)) == 1
