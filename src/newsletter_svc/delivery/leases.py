"""Leases: until when claims are whose, and what becomes of those whose senders are gone."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, func, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change
from newsletter_svc.delivery.marks import untried
from newsletter_svc.delivery.models import CLAIMED, Claimed, Delivery, Mailing, MailingState, Status


def clock(session: Session, now: datetime) -> Any:
    """What leases go by: the database's time, which all machines share; SQLite has no other than its host's."""
    if session.get_bind().dialect.name == "postgresql":
        return func.clock_timestamp(type_=DateTime(timezone=True))
    return now


def renew(session: Session, workers: Mapping[str, int | None], *, seconds: int, now: datetime) -> None:
    """A claim whose sender lives on stays its own, also while a slow server takes minutes to reply.

    `workers` are the claims, each with its mailing.
    """
    until = clock(session, now) + timedelta(seconds=seconds)
    for worker, mailing_id in workers.items():
        change(session, update(Delivery).where(*_held(mailing_id, worker)).values(leased_until=until))


def any_expired(session: Session, *, journalled: Collection[str], now: datetime) -> bool:
    """Whether there is something for `release_expired` to do."""
    expired = _expired(session, journalled, now)
    return any(
        session.scalars(select(Delivery.id).where(*_held(mailing_id), *expired).limit(1)).first() is not None
        for mailing_id in _going(session)
    )


def release_expired(session: Session, *, journalled: Collection[str], now: datetime) -> int:
    """Let go of what dead senders held; return how many deliveries that were.

    A lease that ran out says nothing where the claim's journal can be read (`journalled`): that one decides.
    """
    expired = _expired(session, journalled, now)
    return sum(
        change(session, update(Delivery).where(*_held(mailing_id), *expired).values(untried(Status.PENDING)))
        for mailing_id in _going(session)
    )


def _going(session: Session) -> list[int | None]:
    """The mailings that may be held in part; None for mail that somebody waits for."""
    return [None, *session.scalars(select(Mailing.id).where(Mailing.state != MailingState.DONE))]


def _expired(session: Session, journalled: Collection[str], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.leased_until <= clock(session, now), Delivery.claimed_by.not_in(journalled))


def held_by(session: Session, worker: str, mailing_id: int | None) -> list[Claimed]:
    """What this claim holds and nobody has marked."""
    return [Claimed._make(row) for row in session.execute(select(*CLAIMED).where(*_held(mailing_id, worker)))]


def _held(mailing_id: int | None, worker: str | None = None) -> tuple[ColumnElement[bool], ...]:
    # The mailing stands in both indexes; the claim's name in none, which would have to be kept for a million rows.
    of_it = Delivery.mailing_id.is_(None) if mailing_id is None else Delivery.mailing_id == mailing_id
    held = (of_it, Delivery.status == Status.CLAIMED)
    return held if worker is None else (*held, Delivery.claimed_by == worker)
