"""Who gets an issue, and when: readers are written into the ledger at once and checked again when it is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, insert, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from newsletter_svc.db import UtcDateTime, among
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Status
from newsletter_svc.digests import editions, slots
from newsletter_svc.digests.calendar import Frequency, Schedule
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import Digest, DigestSlot, Edition
from newsletter_svc.subscribers.models import Rhythm, Subscriber, Subscription, SubscriptionStatus


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


def enqueue(session: Session, digest: Digest, edition: Edition, *, message_domain: str, now: datetime) -> int:
    """Owe an issue that was made by hand to every reader of the newsletter, now; return how many they are.

    One statement, here and below, for a million readers too.
    """
    mailing_id = mailings.begin(session, kind=KIND, subject_id=str(digest.id), now=now)
    due_at = literal(now, UtcDateTime())
    _owe(
        session,
        digest,
        _readers(edition.newsletter_id),
        due_at,
        mailing_id=mailing_id,
        message_domain=message_domain,
        now=now,
    )
    return session.scalars(select(func.count()).where(Delivery.mailing_id == mailing_id)).one()


def enqueue_for_slots(
    session: Session, digest: Digest, edition: Edition, schedule: Schedule, *, message_domain: str, now: datetime
) -> int:
    """Owe an issue to the readers of its edition, each when it is their time; return how many they are.

    Who they are is settled here for every zone: whoever chooses otherwise tomorrow has this issue once all the same.
    """
    mailing_id = mailings.begin(session, kind=KIND, subject_id=str(digest.id), now=now)
    readers = readers_of(session, edition).outerjoin(DigestSlot, slots.is_of(digest, schedule))
    # Whoever has changed their time since the slots were looked up has no slot: they get it at once.
    due_at = func.coalesce(DigestSlot.due_at, literal(now, UtcDateTime()))
    _owe(session, digest, readers, due_at, mailing_id=mailing_id, message_domain=message_domain, now=now)
    return slots.count_readers(session, digest, mailing_id)


def readers_of(session: Session, edition: Edition) -> Select[Any]:
    """The subscribers who get this edition of the newsletter and not another, paused or not."""
    return _readers(edition.newsletter_id).where(_prefers(session, edition))


def _prefers(session: Session, edition: Edition) -> ColumnElement[bool]:
    """The condition on a subscription that it is for this edition.

    The own edition is for all who chose none, or one that is not made any more.
    """
    own, *others = (
        each for each in editions.all_of(session, edition.newsletter_id) if each.frequency != Frequency.BY_HAND
    )
    if edition.id != own.id:
        return Subscription.frequency == Rhythm(edition.frequency.value)
    chosen = [Rhythm(each.frequency.value) for each in others]
    return or_(Subscription.frequency.is_(None), Subscription.frequency.not_in(chosen))


def _owe(
    session: Session,
    digest: Digest,
    readers: Select[Any],
    due_at: ColumnElement[datetime],
    *,
    mailing_id: int,
    message_domain: str,
    now: datetime,
) -> None:
    values = {
        Delivery.key: literal(f"{KIND}:{digest.id}:") + cast(Subscriber.id, String),
        Delivery.kind: literal(KIND),
        Delivery.lane: literal(Lane.BULK, Delivery.lane.type),
        Delivery.mailing_id: literal(mailing_id),
        Delivery.subscriber_id: Subscriber.id,
        Delivery.subject_id: literal(str(digest.id)),
        Delivery.recipient: Subscriber.email,
        Delivery.message_id: literal("<") + random_hex() + literal(f"@{message_domain}>"),
        Delivery.status: literal(Status.PENDING, Delivery.status.type),
        Delivery.due_at: due_at,
        Delivery.created_at: literal(now, UtcDateTime()),
    }
    wanted = readers.where(_is_not_paused(due_at)).with_only_columns(*values.values()).order_by(Subscriber.id)
    session.execute(insert(Delivery).from_select([column.key for column in values], wanted))


def still_wanted(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these deliveries (by id) are for a reader of their newsletter who is still confirmed and not paused."""
    newsletters = _newsletters_of(session, {int(delivery.subject_id) for delivery in deliveries})
    subscriber_ids = [delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id is not None]
    # Rows as they come from the database: the session would look at each of a million of them. The newsletter is not
    # asked for: SQLite would go through all of its readers, since that is an index too.
    found = session.connection().execute(
        select(Subscription.subscriber_id, Subscription.newsletter_id)
        .join(Subscriber)
        .where(among(Subscription.subscriber_id, subscriber_ids), *_is_reader())
        .where(_is_not_paused(literal(now, UtcDateTime())))
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


def _is_reader() -> tuple[ColumnElement[bool], ...]:
    return (Subscription.status == SubscriptionStatus.CONFIRMED, Subscriber.confirmed_at.is_not(None))


def _is_not_paused(at: ColumnElement[datetime]) -> ColumnElement[bool]:
    return or_(Subscription.paused_until.is_(None), Subscription.paused_until <= at)
