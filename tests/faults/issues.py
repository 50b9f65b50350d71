"""What is owed before something breaks: readers, and an issue for each of them."""

from datetime import time, timedelta

from sqlalchemy import insert

from newsletter_svc.clock import utcnow
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import Schedule
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus
from tests.factories import make_articles


def addresses(number: int) -> list[str]:
    return [f"reader{each:04}@example.org" for each in range(number)]


def add_readers(parts: Parts, number: int) -> None:
    """Confirmed readers of the default newsletter, `reader0000@example.org` and so on."""
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        common = {"created_at": now, "confirmed_at": now}
        people = [{"email": each, "email_key": each, "name": "Ada", **common} for each in addresses(number)]
        ids = session.scalars(insert(Subscriber).returning(Subscriber.id), people).all()
        confirmed = {"newsletter_id": newsletter_id, "status": SubscriptionStatus.CONFIRMED, "confirmed_at": now}
        session.execute(insert(Subscription), [{"subscriber_id": each, "created_at": now, **confirmed} for each in ids])


def schedule_since(parts: Parts, days: int) -> None:
    """A daily schedule that was set so many days ago, and an article for each day since."""
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        editions.set_schedule(session, newsletter_id, Schedule(time(7), "UTC"), now=now - timedelta(days=days))
        for day in range(days, 0, -1):
            make_articles(session, f"{day} days ago", now=now - timedelta(days=day))
