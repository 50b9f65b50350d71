"""Who is subscribed to what: confirming and leaving."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter_svc.subscribers.models import Newsletter, Subscription, SubscriptionStatus


def confirm(session: Session, subscriber_id: int, newsletter_ids: Iterable[int], *, now: datetime) -> None:
    """Subscribe to these newsletters. Only for who has just proved to own the address (double opt-in)."""
    for newsletter_id in newsletter_ids:
        subscription = session.get(Subscription, (subscriber_id, newsletter_id))
        if subscription is None:
            subscription = Subscription(subscriber_id=subscriber_id, newsletter_id=newsletter_id, created_at=now)
            session.add(subscription)
        if subscription.status != SubscriptionStatus.CONFIRMED:
            subscription.status = SubscriptionStatus.CONFIRMED
            subscription.confirmed_at = now
            subscription.unsubscribed_at = None


def leave(session: Session, subscriber_id: int, newsletter_id: int, *, now: datetime) -> None:
    """Unsubscribe from one newsletter, at once; who has left already stays as is."""
    session.execute(
        update(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.newsletter_id == newsletter_id)
        .where(Subscription.status != SubscriptionStatus.UNSUBSCRIBED)
        .values(status=SubscriptionStatus.UNSUBSCRIBED, unsubscribed_at=now)
    )


def confirmed_ids(session: Session, subscriber_id: int) -> set[int]:
    """Ids of the newsletters that this subscriber gets."""
    return set(
        session.scalars(
            select(Subscription.newsletter_id).where(
                Subscription.subscriber_id == subscriber_id, Subscription.status == SubscriptionStatus.CONFIRMED
            )
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
