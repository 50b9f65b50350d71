"""Who is subscribed to what: confirming and leaving."""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import insert_if_absent
from newsletter_svc.prepared import Prepared
from newsletter_svc.subscribers import consents
from newsletter_svc.subscribers.consents import BY_COMPLAINING, BY_THEIR_ACCOUNT, BY_UNSUBSCRIBING, Origin
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Subscription, SubscriptionStatus


def confirm(session: Session, subscriber_id: int, newsletter_ids: Iterable[int], *, now: datetime) -> None:
    """Subscribe to these newsletters. Only for who has just proved to own the address (double opt-in)."""
    for newsletter_id in newsletter_ids:
        # Two links of one reader may be pressed at once: the second waits here for the first, and finds its row.
        values = {
            "subscriber_id": subscriber_id,
            "newsletter_id": newsletter_id,
            "status": SubscriptionStatus.UNCONFIRMED,
            "created_at": now,
        }
        insert_if_absent(session, Subscription, values, unique=["subscriber_id", "newsletter_id"])
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == subscriber_id, Subscription.newsletter_id == newsletter_id)
            .where(Subscription.status != SubscriptionStatus.CONFIRMED)
            .values(status=SubscriptionStatus.CONFIRMED, confirmed_at=now, unsubscribed_at=None)
        )


def leave(
    session: Session, subscriber_id: int, newsletter_id: int, *, origin: Origin = BY_UNSUBSCRIBING, now: datetime
) -> None:
    """Unsubscribe from one newsletter, at once; who has left already stays as is."""
    left = session.scalars(
        update(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.newsletter_id == newsletter_id)
        .where(Subscription.status != SubscriptionStatus.UNSUBSCRIBED)
        .values(status=SubscriptionStatus.UNSUBSCRIBED, unsubscribed_at=now)
        .returning(Subscription.newsletter_id)
    ).all()
    if left:
        consents.withdrawn(session, subscriber_id, left, origin=origin, now=now)


def complained(session: Session, email: str, *, now: datetime) -> None:
    """Whoever is at this address called our mail spam: unsubscribe from everything, at once."""
    whose = select(Subscriber.id).where(Subscriber.email_key == email.lower())
    left = session.execute(
        update(Subscription)
        .where(Subscription.subscriber_id.in_(whose), Subscription.status != SubscriptionStatus.UNSUBSCRIBED)
        .values(status=SubscriptionStatus.UNSUBSCRIBED, unsubscribed_at=now)
        .returning(Subscription.subscriber_id, Subscription.newsletter_id)
        .execution_options(synchronize_session=False)
    ).all()
    if left:
        ids = [row.newsletter_id for row in left]
        consents.withdrawn(session, left[0].subscriber_id, ids, origin=BY_COMPLAINING, now=now)


def choose(
    session: Session,
    subscriber_id: int,
    newsletter_ids: Set[int],
    *,
    origin: Origin = BY_THEIR_ACCOUNT,
    now: datetime,
) -> None:
    """Get these newsletters and no others. Only for who has proved to own the address."""
    before = confirmed_ids(session, subscriber_id)
    for newsletter_id in before - newsletter_ids:
        leave(session, subscriber_id, newsletter_id, origin=origin, now=now)
    confirm(session, subscriber_id, sorted(newsletter_ids), now=now)
    if newsletter_ids - before:
        consents.given(session, subscriber_id, newsletter_ids - before, origin=origin, now=now)


def confirmed_ids(session: Session, subscriber_id: int) -> set[int]:
    """Ids of the newsletters that this subscriber gets."""
    return {newsletter_id for (newsletter_id,) in _CONFIRMED_IDS.run(session, {"subscriber_id": subscriber_id})}


_CONFIRMED_IDS = Prepared(
    lambda _: select(Subscription.newsletter_id).where(
        Subscription.subscriber_id == bindparam("subscriber_id"), Subscription.status == SubscriptionStatus.CONFIRMED
    )
)


def confirmed_newsletters(session: Session, subscriber_id: int) -> Sequence[Newsletter]:
    """The newsletters that this subscriber gets, in the order they were made."""
    return session.scalars(
        select(Newsletter)
        .join(Subscription, Subscription.newsletter_id == Newsletter.id)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.status == SubscriptionStatus.CONFIRMED)
        .order_by(Newsletter.id)
    ).all()
