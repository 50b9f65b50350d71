"""Finding and making subscribers."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_into
from newsletter_svc.prepared import Prepared
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
    subscriber_id, email, is_known = _PERSON.run(session, {"key": address.key})[0]
    return Person(subscriber_id, email, bool(is_known))


_PERSON = Prepared(
    lambda _: select(Subscriber.id, Subscriber.email, Subscriber.confirmed_at.is_not(None)).where(
        Subscriber.email_key == bindparam("key")
    )
)


def _add_if_absent(session: Session, address: Address, *, now: datetime) -> None:
    session.flush()
    values = {
        "public_id": uuid4().hex,
        "email": address.text,
        "email_key": address.key,
        "name": "",
        "created_at": now,
    }
    _ADD.run(session, values)


_ADD = Prepared(
    lambda dialect: insert_into(dialect, Subscriber).on_conflict_do_nothing(index_elements=["email_key"]),
    columns=("public_id", "email", "email_key", "name", "created_at"),
)


def find(session: Session, address: Address) -> Subscriber | None:
    return session.scalars(select(Subscriber).where(Subscriber.email_key == address.key)).one_or_none()


def hold(session: Session, subscriber_id: int) -> None:
    """Let nobody else write of this subscriber until the transaction ends, and wait for who is at it.

    SQLite has one writer anyway.
    """
    session.scalars(select(Subscriber.id).where(Subscriber.id == subscriber_id).with_for_update()).first()
