"""Finding and making subscribers."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_if_absent
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.models import Subscriber


def find_or_add(session: Session, address: Address, *, now: datetime) -> Subscriber:
    """The subscriber at this address, made unconfirmed if there is none.

    The same two statements run for known and unknown addresses, and two requests at once make one row.
    """
    values = {"email": address.text, "email_key": address.key, "name": "", "created_at": now}
    insert_if_absent(session, Subscriber, values, unique=["email_key"])
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one()


def find(session: Session, address: Address) -> Subscriber | None:
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one_or_none()
