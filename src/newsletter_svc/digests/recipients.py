"""Who gets an issue: confirmed readers, written into the ledger at once and checked again when it is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, cast, func, insert, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from newsletter_svc.db import UtcDateTime, among
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Status
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import Digest, Edition
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus


class random_hex(FunctionElement[str]):  # noqa: N801 - named as SQL functions are.
    """32 random hexadecimal digits, new ones for each row."""

    type = String()
    inherit_cache = True


@compiles(random_hex, "sqlite")
def _sqlite_random_hex(element: random_hex, compiler: Any, **options: Any) -> str:
    return "lower(hex(randomblob(16)))"


@compiles(random_hex, "postgresql")
def _postgresql_random_hex(element: random_hex, compiler: Any, **options: Any) -> str:
    return "replace(cast(gen_random_uuid() as text), '-', '')"


def enqueue(session: Session, digest: Digest, *, newsletter_id: int, message_domain: str, now: datetime) -> int:
    """Owe the digest to every reader of the newsletter, in one statement; return how many they are."""
    subject_id = str(digest.id)
    mailing_id = mailings.begin(session, kind=KIND, subject_id=subject_id, now=now)
    values = {
        Delivery.key: literal(f"{KIND}:{digest.id}:") + cast(Subscriber.id, String),
        Delivery.kind: literal(KIND),
        Delivery.lane: literal(Lane.BULK, Delivery.lane.type),
        Delivery.mailing_id: literal(mailing_id),
        Delivery.subscriber_id: Subscriber.id,
        Delivery.subject_id: literal(subject_id),
        Delivery.recipient: Subscriber.email,
        Delivery.message_id: literal("<") + random_hex() + literal(f"@{message_domain}>"),
        Delivery.status: literal(Status.PENDING, Delivery.status.type),
        Delivery.due_at: literal(now, UtcDateTime()),
        Delivery.created_at: literal(now, UtcDateTime()),
    }
    readers = _readers(newsletter_id).with_only_columns(*values.values()).order_by(Subscriber.id)
    session.execute(insert(Delivery).from_select([column.key for column in values], readers))
    return session.scalars(select(func.count()).where(Delivery.mailing_id == mailing_id)).one()


def still_wanted(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these deliveries (by id) are for somebody who is still a confirmed reader of their newsletter."""
    newsletters = _newsletters_of(session, {int(delivery.subject_id) for delivery in deliveries})
    subscriber_ids = [delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id is not None]
    # Rows as they come from the database: the session would look at each of a million of them. The newsletter is not
    # asked for: SQLite would go through all of its readers, since that is an index too.
    found = session.connection().execute(
        select(Subscription.subscriber_id, Subscription.newsletter_id)
        .join(Subscriber)
        .where(among(Subscription.subscriber_id, subscriber_ids), *_is_reader())
    )
    readers = {tuple(row) for row in found.all()}
    return {
        delivery.id
        for delivery in deliveries
        if (delivery.subscriber_id, newsletters.get(int(delivery.subject_id))) in readers
    }


def _newsletters_of(session: Session, digest_ids: set[int]) -> dict[int, int]:
    rows = session.execute(select(Digest.id, Edition.newsletter_id).join(Edition).where(Digest.id.in_(digest_ids)))
    return dict(rows.all())


def _readers(newsletter_id: int) -> Select[Any]:
    return select(Subscriber.id).join(Subscription).where(Subscription.newsletter_id == newsletter_id, *_is_reader())


def _is_reader() -> tuple[Any, ...]:
    return (Subscription.status == SubscriptionStatus.CONFIRMED, Subscriber.confirmed_at.is_not(None))
