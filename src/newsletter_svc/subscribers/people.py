"""Finding and making subscribers."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.models import Subscriber


def find_or_add(session: Session, address: Address, *, now: datetime) -> Subscriber:
    """The subscriber at this address, made unconfirmed if there is none.

    The same two statements run for known and unknown addresses, and two requests at once make one row.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"email": address.text, "email_key": address.key, "name": "", "created_at": now}
    session.execute(insert(Subscriber).values(values).on_conflict_do_nothing(index_elements=["email_key"]))
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one()


def find(session: Session, address: Address) -> Subscriber | None:
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one_or_none()


def count_known(session: Session) -> int:
    """How many addresses have been proved."""
    return session.scalar(select(func.count()).where(Subscriber.confirmed_at.is_not(None))) or 0
