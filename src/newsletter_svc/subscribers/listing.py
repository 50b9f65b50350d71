"""Subscribers for operators: a page at a time by key, so that the last page costs what the first does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Exists, exists, select
from sqlalchemy.orm import Session

from newsletter_svc.delivery.models import Suppression
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Subscription, SubscriptionStatus


class Standing(NamedTuple):
    """How a subscriber stands with one newsletter."""

    newsletter: str
    status: SubscriptionStatus


@dataclass(frozen=True)
class Entry:
    """One subscriber, as operators see them."""

    id: str
    """The public one, which stays when the address changes."""
    email: str
    name: str
    created_at: datetime
    confirmed_at: datetime | None
    subscriptions: list[Standing]
    suppressed: str | None
    """Why nothing is written to the address, if so."""


@dataclass(frozen=True)
class Filters:
    """Who is on the list; everybody where nothing is said."""

    email_key: str | None = None
    newsletter_id: int | None = None
    status: SubscriptionStatus | None = None


class Page(NamedTuple):
    entries: list[Entry]
    next: int | None
    """Where the next page begins: after the subscriber with this id; None on the last one."""


def page(session: Session, *, filters: Filters, after: int, limit: int) -> Page:
    """Up to `limit` subscribers, the oldest first, that come after the one with the id `after`."""
    wanted = select(Subscriber).where(Subscriber.id > after).order_by(Subscriber.id).limit(limit + 1)
    if filters.email_key is not None:
        wanted = wanted.where(Subscriber.email_key == filters.email_key)
    if filters.newsletter_id is not None or filters.status is not None:
        wanted = wanted.where(_stands(filters))
    found = session.scalars(wanted).all()
    is_last = len(found) <= limit
    return Page(_entries(session, found[:limit]), None if is_last else found[limit - 1].id)


def entry(session: Session, subscriber: Subscriber) -> Entry:
    """One subscriber."""
    return _entries(session, [subscriber])[0]


def find(session: Session, public_id: str) -> Subscriber | None:
    """The subscriber whom other programs know by this id."""
    # What cannot be an id is not asked for: PostgreSQL takes no text with a NUL in it.
    if not public_id.isalnum():
        return None
    return session.scalars(select(Subscriber).where(Subscriber.public_id == public_id)).one_or_none()


def _stands(filters: Filters) -> Exists:
    standing = exists().where(Subscription.subscriber_id == Subscriber.id)
    if filters.newsletter_id is not None:
        standing = standing.where(Subscription.newsletter_id == filters.newsletter_id)
    if filters.status is not None:
        standing = standing.where(Subscription.status == filters.status)
    return standing


def _entries(session: Session, found: Sequence[Subscriber]) -> list[Entry]:
    standings = _standings(session, [each.id for each in found])
    reasons = _suppressed(session, [each.email_key for each in found])
    return [
        Entry(
            id=each.public_id,
            email=each.email,
            name=each.name,
            created_at=each.created_at,
            confirmed_at=each.confirmed_at,
            subscriptions=standings[each.id],
            suppressed=reasons.get(each.email_key),
        )
        for each in found
    ]


def _standings(session: Session, ids: Sequence[int]) -> dict[int, list[Standing]]:
    rows = session.connection().execute(
        select(Subscription.subscriber_id, Newsletter.slug, Subscription.status)
        .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(Newsletter.id)
    )
    standings: dict[int, list[Standing]] = {each: [] for each in ids}
    for row in rows:
        standings[row.subscriber_id].append(Standing(row.slug, row.status))
    return standings


def _suppressed(session: Session, keys: Sequence[str]) -> dict[str, str]:
    columns = (Suppression.email_key, Suppression.reason)
    rows = session.connection().execute(select(*columns).where(Suppression.email_key.in_(keys)))
    return {row.email_key: row.reason for row in rows}
