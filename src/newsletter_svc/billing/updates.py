"""The presses of "update billing": begun, found again, ended once."""

from datetime import datetime, timedelta

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.billing import customers, letters
from newsletter_svc.billing.failures import NoCustomer, TooManyPresses
from newsletter_svc.billing.models import BillingUpdate
from newsletter_svc.db import change, delete_where
from newsletter_svc.subscribers.models import Subscriber

MOST = 20
"""Presses of one reader within an hour: each is a request to Stripe, which limits us all together."""
WINDOW = timedelta(hours=1)
KEEP = timedelta(days=30)
"""Far longer than a payment page can be paid on (a day) and than Stripe goes on sending an event (three)."""


def begin(session: Session, subscriber_id: int, *, redirect: str, now: datetime) -> BillingUpdate:
    """One more press. Raises NoCustomer, TooManyPresses."""
    customer_id = customers.customer_of(session, subscriber_id)
    if customer_id is None:
        raise NoCustomer("problems.no_customer")
    lately = select(func.count()).where(
        BillingUpdate.subscriber_id == subscriber_id, BillingUpdate.created_at > now - WINDOW
    )
    if (session.scalar(lately) or 0) >= MOST:
        raise TooManyPresses(int(WINDOW.total_seconds()))
    begun = BillingUpdate(subscriber_id=subscriber_id, customer_id=customer_id, redirect=redirect, created_at=now)
    session.add(begun)
    session.flush()
    return begun


def remember_session(session: Session, update_id: int, session_id: str) -> None:
    """Which Checkout session this press led to; an event about it may have come first."""
    missing = BillingUpdate.session_id.is_(None)
    change(session, update(BillingUpdate).where(BillingUpdate.id == update_id, missing).values(session_id=session_id))


def find(session: Session, key: str) -> BillingUpdate | None:
    return session.scalars(select(BillingUpdate).where(BillingUpdate.key == key)).one_or_none()


def is_overtaken(session: Session, begun: BillingUpdate) -> bool:
    """Whether a later press has changed this customer's card since: events come in any order."""
    later = exists().where(
        BillingUpdate.customer_id == begun.customer_id,
        BillingUpdate.id > begun.id,
        BillingUpdate.done_at.is_not(None),
    )
    return session.scalar(select(later)) is True


def finish(session: Session, begun: BillingUpdate, *, message_domain: str, now: datetime) -> bool:
    """The card is in use: say so once, by mail and in the trail. False when somebody else has said it."""
    still_open = update(BillingUpdate).where(BillingUpdate.id == begun.id, BillingUpdate.done_at.is_(None))
    if not change(session, still_open.values(done_at=now)):
        return False
    subscriber = session.get_one(Subscriber, begun.subscriber_id)
    letters.owe(session, subscriber, begun, message_domain=message_domain, now=now)
    subject = f"billing_update:{begun.id}"
    audit.record(session, Event.BILLING_UPDATED, subscriber_id=subscriber.id, subject=subject, now=now)
    return True


def purge(session: Session, *, now: datetime) -> int:
    """Throw away the presses of long ago; how many."""
    return delete_where(session, BillingUpdate, BillingUpdate.created_at < now - KEEP)
