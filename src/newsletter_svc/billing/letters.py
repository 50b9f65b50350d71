"""The mail that says that a reader's billing was updated: to them, so that nobody else can do it unnoticed."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from newsletter_svc.billing.models import BillingUpdate
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.subscribers.models import Subscriber

KIND = "billing_updated"
STALE = timedelta(days=3)
"""It names the day, so it is still of use when it comes late."""


def owe(session: Session, subscriber: Subscriber, begun: BillingUpdate, *, message_domain: str, now: datetime) -> None:
    """Owe the mail, in the transaction that ends the update."""
    ledger.enqueue(
        session,
        key=f"{KIND}:{begun.key}",
        kind=KIND,
        recipient=subscriber.email,
        subscriber_id=subscriber.id,
        subject_id=str(begun.id),
        message_domain=message_domain,
        now=now,
        expires_at=now + STALE,
    )


class BillingLetters:
    """Writes the mail. It says nothing of the card, which is Stripe's to know."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        begun = session.get_one(BillingUpdate, int(delivery.subject_id))
        subscriber = session.get_one(Subscriber, begun.subscriber_id)
        rendered = self._composer.render(KIND, {"name": subscriber.name, "updated_at": begun.done_at})
        return Letter(Mailbox(delivery.recipient, subscriber.name), rendered, Stream.TRANSACTIONAL)
