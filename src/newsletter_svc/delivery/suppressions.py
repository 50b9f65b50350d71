"""Addresses that are not written to, and what may go there all the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change, delete_where, insert_if_absent, is_one_of
from newsletter_svc.delivery.models import Bounce, Claimed, Delivery, Lane, Scope, Status, Suppression

SIGN_IN_AFTER_BOUNCE = timedelta(days=1)
"""A mailbox that was full of mistakes may be mended: one sign-in mail in this time is tried."""


class Reason(StrEnum):
    """Why nothing is sent; the first word of a suppression's reason."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    OPERATOR = "operator"
    """Somebody here, or a list from elsewhere, said so."""


NEWSLETTERS_ONLY = (Reason.SOFT_BOUNCES.value, Reason.COMPLAINT.value)
"""Who complains did not mean sign-in, and a full mailbox may take a small mail that somebody waits for."""
_DECIDED = (Reason.COMPLAINT.value, Reason.OPERATOR.value)


def scope_of(reason: str) -> Scope:
    """What a suppression for this reason stops, unless somebody wants it otherwise."""
    return Scope.NEWSLETTERS if reason.startswith(NEWSLETTERS_ONLY) else Scope.EVERYTHING


def add(session: Session, email: str, *, reason: str, scope: Scope | None = None, now: datetime) -> bool:
    """Write to this address no more; whether it was written to before. The first reason stays, and the wider scope."""
    scope = scope or scope_of(reason)
    values = {"email_key": email.lower(), "reason": reason, "scope": scope, "created_at": now}
    is_new = insert_if_absent(session, Suppression, values, unique=["email_key"])
    if not is_new and scope is Scope.EVERYTHING:
        change(session, update(Suppression).where(Suppression.email_key == email.lower()).values(scope=scope))
    return is_new


def find(session: Session, email: str) -> Suppression | None:
    """Why nothing is written to this address, if so."""
    return session.scalars(select(Suppression).where(Suppression.email_key == email.lower())).one_or_none()


def lift(session: Session, email: str) -> bool:
    """Write to this address again, and forget how often it bounced; whether it was suppressed.

    The events stay on record, so that a report which is told once more does not suppress it again.
    """
    key = email.lower()
    change(session, update(Bounce).where(Bounce.email_key == key).values(is_forgiven=True))
    return bool(delete_where(session, Suppression, Suppression.email_key == key))


def refute(session: Session, email: str) -> None:
    """Somebody has just read mail at this address, so the mailbox is there.

    What its reader complained of stays so, and so does what an operator decided; neither was about signing in.
    """
    found = find(session, email)
    if found is not None and found.reason.startswith(_DECIDED):
        found.scope = Scope.NEWSLETTERS
    elif found is not None:
        lift(session, email)


def listed(session: Session, *, after: int = 0, limit: int) -> Sequence[Suppression]:
    """Up to `limit` suppressions, oldest first, that come after the one with this id."""
    return session.scalars(
        select(Suppression).where(Suppression.id > after).order_by(Suppression.id).limit(limit)
    ).all()


def was_added_since(session: Session, email: str, moment: datetime) -> bool:
    """Whether this address bounced or complained at `moment` or later."""
    added = select(Suppression.id).where(Suppression.email_key == email.lower(), Suppression.created_at >= moment)
    return session.scalars(added).first() is not None


def blocked(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these (by id) must not go out.

    A complaint stops newsletters and not sign-in, and so do soft bounces; a hard one stops both, but for one sign-in
    mail a day.
    """
    keys = {delivery.id: delivery.recipient.lower() for delivery in deliveries}
    found = session.connection().execute(
        select(Suppression.email_key, Suppression.scope).where(
            is_one_of(session, Suppression.email_key, set(keys.values()))
        )
    )
    scopes = {row.email_key: row.scope for row in found}
    if not scopes:
        return set()
    return {
        delivery.id
        for delivery in deliveries
        if (scope := scopes.get(keys[delivery.id])) and not _may_pass(session, delivery, scope, now=now)
    }


def _may_pass(session: Session, delivery: Claimed, scope: Scope, *, now: datetime) -> bool:
    if delivery.lane != Lane.TRANSACTIONAL:
        return False
    return scope is Scope.NEWSLETTERS or not _was_tried(session, delivery, since=now - SIGN_IN_AFTER_BOUNCE)


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
