"""The mails of a change of address, written when they are sent: no link rests in the database before."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.auth import address_links
from newsletter_svc.auth.address_changes import Kind
from newsletter_svc.auth.address_links import Step
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.models import AddressChange, Subscriber
from newsletter_svc.tokens import Keyring


class AddressLetters:
    """Writes the mail to the new address, with the link that proves it, and the one to the old, with the way back."""

    def __init__(self, *, composer: Composer, links: Links, keyring: Keyring) -> None:
        self._composer = composer
        self._links = links
        self._keyring = keyring

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        """The letter for this delivery, whose `subject_id` is the change's id."""
        change = session.get_one(AddressChange, delivery.subject_id)
        subscriber = session.get_one(Subscriber, change.subscriber_id)
        to_new = delivery.kind == Kind.CONFIRM_ADDRESS
        context = {"name": subscriber.name, **(self._proving(change) if to_new else self._undoing(change))}
        rendered = self._composer.render(delivery.kind, context)
        return Letter(Mailbox(delivery.recipient, subscriber.name), rendered, Stream.TRANSACTIONAL)

    def _proving(self, change: AddressChange) -> Mapping[str, Any]:
        return {
            "link": self._links.change_address(address_links.token(self._keyring, change, Step.PROVE)),
            "minutes": (change.expires_at - change.asked_at) // timedelta(minutes=1),
            "masked_address": addresses.mask(change.old_email),
            "asked_from": change.asked_from,
            "asked_at": change.asked_at,
        }

    def _undoing(self, change: AddressChange) -> Mapping[str, Any]:
        return {
            "link": self._links.undo_address(address_links.token(self._keyring, change, Step.UNDO)),
            "masked_address": addresses.mask(change.new_email),
            "changed_at": change.done_at,
            "undo_until": change.undo_until,
        }


def still_wanted(session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
    """Which of these mails carry a link that would work: to prove the new address, or to undo the change."""
    ids = {delivery.subject_id: delivery for delivery in deliveries}
    found = session.scalars(select(AddressChange).where(AddressChange.id.in_(ids)))
    return {
        delivery.id for change in found if address_links.is_open(change, _step(delivery := ids[change.id]), now=now)
    }


def _step(delivery: Claimed) -> Step:
    return Step.PROVE if delivery.kind == Kind.CONFIRM_ADDRESS else Step.UNDO
