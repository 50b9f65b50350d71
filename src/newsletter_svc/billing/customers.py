"""Which subscriber is which customer."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.billing.failures import CustomerTaken
from newsletter_svc.billing.models import Customer
from newsletter_svc.subscribers.models import Subscriber


def customer_of(session: Session, subscriber_id: int) -> str | None:
    """The customer's id at Stripe, if this subscriber is one."""
    found = session.get(Customer, subscriber_id)
    return found.customer_id if found else None


def link(session: Session, subscriber_id: int, customer_id: str, *, now: datetime) -> str | None:
    """Say that this subscriber is that customer; return who they were before. Raises CustomerTaken."""
    if _owner(session, customer_id) not in (None, subscriber_id):
        raise CustomerTaken(f"{customer_id} belongs to another subscriber already.")
    found = session.get(Customer, subscriber_id)
    if found is None:
        session.add(Customer(subscriber_id=subscriber_id, customer_id=customer_id, linked_at=now))
        return None
    before = found.customer_id
    if before != customer_id:
        found.customer_id, found.linked_at = customer_id, now
    return before


def link_unless_linked(session: Session, public_id: str, customer_id: str, *, now: datetime) -> int | None:
    """The same by the id that other services know a subscriber by; return the subscriber's own if that is new.

    An event never changes a link that there is: whoever could make one would have a reader's next card.
    """
    subscriber_id = session.scalar(select(Subscriber.id).where(Subscriber.public_id == public_id))
    if subscriber_id is None or _owner(session, customer_id) is not None or customer_of(session, subscriber_id):
        return None
    link(session, subscriber_id, customer_id, now=now)
    return subscriber_id


def _owner(session: Session, customer_id: str) -> int | None:
    return session.scalar(select(Customer.subscriber_id).where(Customer.customer_id == customer_id))
