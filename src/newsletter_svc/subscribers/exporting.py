"""Exporting readers as CSV, one after the other as the database hands them out."""

from collections.abc import Iterator
from itertools import count, groupby
from operator import attrgetter
from typing import NamedTuple, Protocol

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from newsletter_svc.subscribers.csv_file import COLUMNS
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Subscription, SubscriptionStatus
from newsletter_svc.subscribers.spreadsheets import table

_AT_ONCE = 1_000


class Reader(NamedTuple):
    """One line of a list: what an import takes."""

    email: str
    name: str
    newsletters: str
    """Slugs, with a space between them."""


class Written(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object: ...


def readers(session: Session, *, newsletter_id: int | None = None) -> Iterator[Reader]:
    """Everybody who gets a newsletter, or this one, with all that they get; as it was when the first one was read.

    Who is pending or has left is not on it: whoever takes the list in elsewhere has consent for all of it.
    """
    rows = session.connection().execute(_everybody(newsletter_id), execution_options={"yield_per": _AT_ONCE})
    for _, group in groupby(rows, attrgetter("id")):
        mine = list(group)
        yield Reader(mine[0].email, mine[0].name, " ".join(row.slug for row in mine))


def write(readers: Iterator[Reader], file: Written) -> int:
    """Write the list with its header; return how many readers are on it."""
    numbers = count()
    # The number of a reader is taken after the reader, so the next one is how many there were.
    for text in table(COLUMNS, (reader for reader, _ in zip(readers, numbers, strict=False))):
        file.write(text)
    return next(numbers)


def _everybody(newsletter_id: int | None) -> Select[int, str, str, str]:
    is_confirmed = (Subscription.status == SubscriptionStatus.CONFIRMED, Subscriber.confirmed_at.is_not(None))
    found = (
        select(Subscriber.id, Subscriber.email, Subscriber.name, Newsletter.slug)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
        .where(*is_confirmed)
        .order_by(Subscriber.id, Newsletter.id)
    )
    if newsletter_id is None:
        return found
    of_this = select(Subscription.subscriber_id).where(
        Subscription.newsletter_id == newsletter_id, Subscription.status == SubscriptionStatus.CONFIRMED
    )
    return found.where(Subscriber.id.in_(of_this))
