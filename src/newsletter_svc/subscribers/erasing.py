"""Erasing a person: gone from every table, but for a keyed hash that keeps lists from bringing the address back."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.db import change, delete_where
from newsletter_svc.delivery.bounces import BounceEvent
from newsletter_svc.delivery.models import Bounce, Delivery, Status, Suppression
from newsletter_svc.subscribers import erased, people
from newsletter_svc.subscribers.models import AddressChange, Subscriber
from newsletter_svc.tokens import Keyring

_OWED = (Status.PENDING, Status.RETRY, Status.UNKNOWN)


class By(StrEnum):
    """Who wanted it."""

    READER = "reader"
    OPERATOR = "operator"


def erase(session: Session, subscriber_id: int, *, by: By, keyring: Keyring, now: datetime) -> None:
    """Forget everything about this subscriber. What is owed is not sent any more; sessions and links end.

    Every table that says something of a subscriber refers to the row with ON DELETE, so what goes with it or loses its
    name is the database's to do. Only what repeats the address itself is looked after here.
    """
    # What others are just writing of them, such as an issue that is being owed, is there to be found afterwards.
    people.hold(session, subscriber_id)
    for email_key in _address_keys(session, subscriber_id):
        erased.remember(session, email_key, keyring=keyring, now=now)
        _forget_bounces(session, email_key)
    _blank_deliveries(session, subscriber_id, now=now)
    delete_where(session, Subscriber, Subscriber.id == subscriber_id)
    session.expire_all()
    audit.record(session, Event.ERASED, reason=by, now=now)


def blanked(session: Session, event: BounceEvent, *, keyring: Keyring) -> BounceEvent:
    """The event without its address, if that is of somebody who was erased and has not come back. Raises KeyLost.

    Providers name an address, not a delivery of ours, and may do so long after the mail went out.
    """
    key = event.email.lower()
    is_here = session.scalars(select(Subscriber.id).where(Subscriber.email_key == key)).first() is not None
    return event if is_here or not erased.among(session, [key], keyring=keyring) else replace(event, email="")


def _address_keys(session: Session, subscriber_id: int) -> set[str]:
    """The reader's address, and those that they had lately and that are nobody else's now."""
    moved = select(AddressChange.old_email, AddressChange.new_email).where(
        AddressChange.subscriber_id == subscriber_id, AddressChange.done_at.is_not(None)
    )
    keys = {email.lower() for row in session.execute(moved) for email in row}
    others = select(Subscriber.email_key).where(Subscriber.email_key.in_(keys), Subscriber.id != subscriber_id)
    return {session.get_one(Subscriber, subscriber_id).email_key} | (keys - set(session.scalars(others)))


def _forget_bounces(session: Session, email_key: str) -> None:
    delete_where(session, Suppression, Suppression.email_key == email_key)
    # The events stay without the address: a report that names it and is told once more must not bring it back.
    blank = {"email_key": "", "is_forgiven": True}
    change(session, update(Bounce).where(Bounce.email_key == email_key).values(blank))


def _blank_deliveries(session: Session, subscriber_id: int, *, now: datetime) -> None:
    """The ledger keeps its rows, so that an issue's counts stay true, and not what they say of a person."""
    mine = Delivery.subscriber_id == subscriber_id
    ended = {"status": Status.CANCELLED, "reason": "erased", "finished_at": now}
    change(session, update(Delivery).where(mine, Delivery.status.in_(_OWED)).values(ended))
    # A sender may hold one just now. If it comes back untried it is too late for it, whatever kind of mail it is.
    over = case((Delivery.status == Status.CLAIMED, now), else_=Delivery.expires_at)
    blank = {"recipient": "", "reply": None, "expires_at": over, "subscriber_id": None}
    change(session, update(Delivery).where(mine).values(blank))
