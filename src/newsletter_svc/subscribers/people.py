"""Finding and making subscribers."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_if_absent
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.models import Subscriber


@dataclass(frozen=True)
class Person:
    """What a request for mail has to know of a subscriber."""

    id: int
    email: str
    is_known: bool


def find_or_add(session: Session, address: Address, *, now: datetime) -> Subscriber:
    """The subscriber at this address, made unconfirmed if there is none. Two requests at once make one row."""
    _add_if_absent(session, address, now=now)
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one()


def whoever_is_at(session: Session, address: Address, *, now: datetime) -> Person:
    """The same, by the two statements that cost least: they are the same for known and unknown addresses."""
    _add_if_absent(session, address, now=now)
    row = session.connection().execute(_PERSON, {"key": address.key}).one()
    return Person(row.id, row.email, row.confirmed_at is not None)


_PERSON = select(Subscriber.id, Subscriber.email, Subscriber.confirmed_at).where(
    Subscriber.email_key == bindparam("key")
)


def _add_if_absent(session: Session, address: Address, *, now: datetime) -> None:
    values = {"email": address.text, "email_key": address.key, "name": "", "created_at": now}
    insert_if_absent(session, Subscriber, values, unique=["email_key"])


def find(session: Session, address: Address) -> Subscriber | None:
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one_or_none()
