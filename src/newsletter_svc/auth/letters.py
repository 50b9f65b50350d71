"""The mails of sign-in, written when they are sent: no link rests in the database before."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.auth import secrets as link_secrets
from newsletter_svc.auth.models import Door, MagicLink
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.subscribers.models import Newsletter, Subscriber
from newsletter_svc.tokens import Keyring


class LinkLetters:
    """Writes the mail for a magic link: the same link and the same code at every retry."""

    def __init__(self, *, composer: Composer, links: Links, keyring: Keyring) -> None:
        self._composer = composer
        self._links = links
        self._keyring = keyring

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        """The letter for this delivery, whose `subject_id` is a magic link's id."""
        link = session.get_one(MagicLink, delivery.subject_id)
        subscriber = session.get_one(Subscriber, link.subscriber_id)
        rendered = self._composer.render(delivery.kind, self._context(session, link, subscriber))
        recipient = Mailbox(delivery.recipient, subscriber.name)
        return Letter(recipient=recipient, rendered=rendered, stream=Stream.TRANSACTIONAL)

    def _context(self, session: Session, link: MagicLink, subscriber: Subscriber) -> Mapping[str, Any]:
        lifetime = link.expires_at - link.created_at
        return {
            "name": subscriber.name or ("" if subscriber.is_known else link.name),
            "link": self._links.magic_link(link_secrets.token(self._keyring, link)),
            "code": link_secrets.code(self._keyring, link),
            "minutes": lifetime // timedelta(minutes=1),
            "hours": lifetime // timedelta(hours=1),
            "newsletters": self._titles(session, link),
            "asked_at_sign_in": link.door == Door.SIGN_IN,
            "asked_from": link.asked_from,
            "asked_at": link.created_at,
            "preferences_url": self._links.preferences(subscriber.id),
        }

    def _titles(self, session: Session, link: MagicLink) -> list[str]:
        if link.door == Door.SUBSCRIBE and not link.newsletter_ids:
            return [newsletter.title for newsletter in subscriptions.confirmed_newsletters(session, link.subscriber_id)]
        return newsletter_titles(session, link)


def newsletter_titles(session: Session, link: MagicLink) -> list[str]:
    """What redeeming this link subscribes to, in words."""
    if not link.newsletter_ids:
        return []
    found = select(Newsletter.title).where(Newsletter.id.in_(link.newsletter_ids)).order_by(Newsletter.id)
    return list(session.scalars(found))


def still_wanted(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these mails still carry a link that would work."""
    ids = {delivery.subject_id: delivery.id for delivery in deliveries}
    alive = select(MagicLink.id).where(MagicLink.id.in_(ids), MagicLink.used_at.is_(None), MagicLink.expires_at > now)
    return {ids[link_id] for link_id in session.scalars(alive)}
