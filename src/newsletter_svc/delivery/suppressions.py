"""Addresses that are not written to, and what may go there all the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_if_absent
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Status, Suppression

SIGN_IN_AFTER_BOUNCE = timedelta(days=1)
"""A mailbox that was full of mistakes may be mended: one sign-in mail in this time is tried."""


class Reason(StrEnum):
    """Why nothing is sent; the first word of a suppression's reason."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"


def add(session: Session, email: str, *, reason: str, now: datetime) -> None:
    """Write to this address no more; the first reason stays."""
    values = {"email_key": email.lower(), "reason": reason, "created_at": now}
    insert_if_absent(session, Suppression, values, unique=["email_key"])


def was_added_since(session: Session, email: str, moment: datetime) -> bool:
    """Whether this address bounced or complained at `moment` or later."""
    added = select(Suppression.id).where(Suppression.email_key == email.lower(), Suppression.created_at >= moment)
    return session.scalars(added).first() is not None


def blocked(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these (by id) must not go out.

    A complaint stops newsletters and not sign-in; a hard bounce stops both, but for one sign-in mail a day.
    """
    keys = {delivery.recipient.lower() for delivery in deliveries}
    found = session.connection().execute(
        select(Suppression.email_key, Suppression.reason).where(Suppression.email_key.in_(keys))
    )
    reasons = {row.email_key: row.reason for row in found}
    return {
        delivery.id
        for delivery in deliveries
        if (reason := reasons.get(delivery.recipient.lower())) and not _may_pass(session, delivery, reason, now=now)
    }


def _may_pass(session: Session, delivery: Claimed, reason: str, *, now: datetime) -> bool:
    if delivery.lane != Lane.TRANSACTIONAL:
        return False
    if reason.startswith(Reason.COMPLAINT):
        return True
    return reason.startswith(Reason.HARD_BOUNCE) and not _was_tried(session, delivery, since=now - SIGN_IN_AFTER_BOUNCE)


def _was_tried(session: Session, delivery: Claimed, *, since: datetime) -> bool:
    tried = select(Delivery.id).where(
        func.lower(Delivery.recipient) == delivery.recipient.lower(),
        Delivery.lane == Lane.TRANSACTIONAL,
        Delivery.id != delivery.id,
        Delivery.status.in_([Status.SENT, Status.FAILED, Status.UNKNOWN]),
        Delivery.created_at > since,
    )
    if delivery.subscriber_id is not None:
        tried = tried.where(Delivery.subscriber_id == delivery.subscriber_id)
    return session.scalars(tried.limit(1)).first() is not None
