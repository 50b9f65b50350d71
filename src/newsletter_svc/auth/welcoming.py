"""The mail that welcomes a reader: owed once, when an address is proved for the first time."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from newsletter_svc.auth.redeeming import Redeemed
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.subscribers.models import Subscriber

KIND = "welcome"
STALE = timedelta(days=1)
"""A welcome that comes later than this is none."""


def owe_if_first(session: Session, redeemed: Redeemed, *, message_domain: str, now: datetime) -> None:
    """Owe the mail where this redemption made a reader, and not where a known one signs in."""
    if not redeemed.is_first:
        return
    ledger.enqueue(
        session,
        key=f"{KIND}:{redeemed.link_id}",
        kind=KIND,
        recipient=redeemed.subscriber.email,
        subscriber_id=redeemed.subscriber.id,
        subject_id=redeemed.link_id,
        message_domain=message_domain,
        now=now,
        expires_at=now + STALE,
    )


class WelcomeLetters:
    """Writes the mail, with what the reader is subscribed to when it is sent."""

    def __init__(self, composer: Composer, links: Links) -> None:
        self._composer = composer
        self._links = links

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        subscriber = session.get_one(Subscriber, delivery.subscriber_id)
        titles = [newsletter.title for newsletter in subscriptions.confirmed_newsletters(session, subscriber.id)]
        context = {
            "name": subscriber.name,
            "newsletters": titles,
            "preferences_url": self._links.preferences(subscriber.id),
        }
        rendered = self._composer.render(KIND, context)
        return Letter(Mailbox(delivery.recipient, subscriber.name), rendered, Stream.TRANSACTIONAL)
