"""Moving a reader to another address, and back: what is asked, proved, told, ended and undone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.auth import address_links, sessions
from newsletter_svc.auth.address_links import ChangeGone, Step
from newsletter_svc.auth.models import MagicLink
from newsletter_svc.db import change as change_rows
from newsletter_svc.db import delete_where, insert_row
from newsletter_svc.delivery import ledger, suppressions
from newsletter_svc.delivery.models import Delivery, Lane, Status
from newsletter_svc.subscribers import addresses, people
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.models import AddressChange, Subscriber
from newsletter_svc.tokens import Keyring, fingerprint
from newsletter_svc.words import ReaderError

UNDO = timedelta(days=7)
SUBJECT = "address:"
"""What lines of the audit trail are about begins with this; the change's id follows."""
_WAITING = (Status.PENDING, Status.RETRY)


class Kind(StrEnum):
    """The mails of this feature, each with its folder under templates/email."""

    CONFIRM_ADDRESS = "confirm_address"
    ADDRESS_CHANGED = "address_changed"


class Withheld(StrEnum):
    """Why the new address gets no mail, which the asker does not learn."""

    LIMIT = "limit"
    TAKEN = "taken"
    """It is that of another reader, or the asker's own."""


class AddressTaken(ReaderError):
    """Another reader has proved to own the address."""

    def __init__(self) -> None:
        super().__init__("problems.address_taken")


@dataclass(frozen=True)
class Wish:
    """Which reader wants to be where, and how they asked."""

    subscriber: Subscriber
    session_id: int
    address: Address
    asked_from: str
    peer: str | None


def ask(
    session: Session,
    wish: Wish,
    *,
    may_send: bool,
    lifetime: timedelta,
    keyring: Keyring,
    message_domain: str,
    now: datetime,
) -> None:
    """Owe the new address the mail with its link. Whatever stands in the way, the statements are the same."""
    withheld = _reason_against(session, wish, may_send=may_send)
    expires_at = now if withheld else now + lifetime
    change = _new_change(wish, keyring=keyring, now=now, expires_at=expires_at)
    change_id, subscriber_id = change["id"], wish.subscriber.id
    insert_row(session, AddressChange, change)
    ledger.enqueue(
        session,
        key=f"{Kind.CONFIRM_ADDRESS}:{change_id}",
        kind=Kind.CONFIRM_ADDRESS,
        recipient=wish.address.text,
        subscriber_id=subscriber_id,
        subject_id=change_id,
        message_domain=message_domain,
        now=now,
        expires_at=expires_at,
        withheld=withheld,
    )
    event, reason = (Event.WITHHELD, withheld) if withheld else (Event.ASKED, Kind.CONFIRM_ADDRESS)
    _note(session, event, subscriber_id, change_id, reason=reason, peer=wish.peer, now=now)


def move(
    session: Session, token: str, *, keyring: Keyring, message_domain: str, peer: str | None, now: datetime
) -> AddressChange:
    """Use the new address's link up: the reader is there from now on. Raises ChangeGone, AddressTaken.

    Every other link and session of theirs ends, issues that wait go to the new address, and the old one is told.
    """
    change = address_links.find(session, token, Step.PROVE, keyring=keyring, now=now)
    is_open = (AddressChange.done_at.is_(None), AddressChange.expires_at > now)
    # One at a time for a reader: two links of theirs, used at once, would wait for each other in a ring.
    people.hold(session, change.subscriber_id)
    _take(session, change, is_open, {"done_at": now, "undo_until": now + UNDO})
    _end_links(session, change, now=now)
    sessions.end_all(session, change.subscriber_id, but=change.session_id, now=now)
    _put(session, change.subscriber_id, change.new_email)
    suppressions.refute(session, change.new_email)
    ledger.enqueue(
        session,
        key=f"{Kind.ADDRESS_CHANGED}:{change.id}",
        kind=Kind.ADDRESS_CHANGED,
        recipient=change.old_email,
        subscriber_id=change.subscriber_id,
        subject_id=change.id,
        message_domain=message_domain,
        now=now,
        expires_at=now + UNDO,
    )
    _note(session, Event.ADDRESS_CHANGED, change.subscriber_id, change.id, peer=peer, now=now)
    return change


def undo(session: Session, token: str, *, keyring: Keyring, peer: str | None, now: datetime) -> AddressChange:
    """Bring the reader back to the old address, from wherever they are by now. Raises ChangeGone, AddressTaken.

    All sessions and links end. Changes that were made since cannot be undone into the wrong hands.
    """
    change = address_links.find(session, token, Step.UNDO, keyring=keyring, now=now)
    people.hold(session, change.subscriber_id)
    _take(session, change, (AddressChange.undone_at.is_(None), AddressChange.undo_until > now), {"undone_at": now})
    later = (AddressChange.subscriber_id == change.subscriber_id, AddressChange.done_at > change.done_at)
    change_rows(session, update(AddressChange).where(*later).values(undo_until=AddressChange.done_at))
    _end_links(session, change, now=now)
    sessions.end_all(session, change.subscriber_id, now=now)
    _put(session, change.subscriber_id, change.old_email)
    _note(session, Event.ADDRESS_RESTORED, change.subscriber_id, change.id, peer=peer, now=now)
    return change


def purge(session: Session, *, keep: timedelta, now: datetime) -> int:
    """Forget the changes that nobody can do or undo any more; how many."""
    is_over = AddressChange.undo_until.is_(None) | (AddressChange.undo_until < now)
    return delete_where(session, AddressChange, AddressChange.expires_at < now - keep, is_over)


def _new_change(wish: Wish, *, keyring: Keyring, now: datetime, expires_at: datetime) -> dict[str, Any]:
    change_id = uuid4().hex
    nonces = {step: address_links.nonce(keyring, change_id, step, key_id=keyring.newest) for step in Step}
    return {
        "id": change_id,
        "key_id": keyring.newest,
        "nonce_hash": fingerprint(nonces[Step.PROVE]),
        "undo_hash": fingerprint(nonces[Step.UNDO]),
        "subscriber_id": wish.subscriber.id,
        "session_id": wish.session_id,
        "old_email": wish.subscriber.email,
        "new_email": wish.address.text,
        "asked_from": wish.asked_from,
        "asked_at": now,
        "expires_at": expires_at,
    }


def _reason_against(session: Session, wish: Wish, *, may_send: bool) -> Withheld | None:
    holder = select(Subscriber.id).where(Subscriber.email_key == wish.address.key, Subscriber.confirmed_at.is_not(None))
    is_taken = session.scalars(holder).first() is not None
    return Withheld.TAKEN if is_taken else None if may_send else Withheld.LIMIT


def _take(
    session: Session, change: AddressChange, is_open: Iterable[ColumnElement[bool]], values: dict[str, datetime]
) -> None:
    """Of two that come at once the first wins. Raises ChangeGone for the other."""
    if not change_rows(session, update(AddressChange).where(AddressChange.id == change.id, *is_open).values(values)):
        raise ChangeGone
    session.refresh(change)


def _end_links(session: Session, change: AddressChange, *, now: datetime) -> None:
    """Whatever was on its way to one of the reader's addresses is good for nothing from now on.

    Without its pre-session a link that was used a moment ago has no second chance, and its code no challenge. They end
    at the time of their beginning: whoever waits for us here may have looked at the clock before we did.
    """
    links = update(MagicLink).where(MagicLink.subscriber_id == change.subscriber_id)
    change_rows(session, links.values(presession_hash=""))
    change_rows(session, links.where(MagicLink.expires_at > now).values(expires_at=MagicLink.created_at))
    others = (AddressChange.subscriber_id == change.subscriber_id, AddressChange.done_at.is_(None))
    ended = update(AddressChange).where(*others, AddressChange.expires_at > now)
    change_rows(session, ended.values(expires_at=AddressChange.asked_at))


def _put(session: Session, subscriber_id: int, email: str) -> None:
    """Write the address into the reader's row and onto the issues that wait for them. Raises AddressTaken."""
    address = addresses.parse(email)
    _remove_unproved(session, address)
    try:
        with session.begin_nested():
            row = update(Subscriber).where(Subscriber.id == subscriber_id)
            change_rows(session, row.values(email=address.text, email_key=address.key))
    except IntegrityError as error:
        raise AddressTaken from error
    waiting = (Delivery.subscriber_id == subscriber_id, Delivery.lane == Lane.BULK, Delivery.status.in_(_WAITING))
    change_rows(session, update(Delivery).where(*waiting).values(recipient=address.text))
    session.expire_all()


def _remove_unproved(session: Session, address: Address) -> None:
    """Who only typed this address somewhere does not keep its owner from it."""
    typed = select(Subscriber.id).where(Subscriber.email_key == address.key, Subscriber.confirmed_at.is_(None))
    ids = session.scalars(typed.with_for_update()).all()
    if ids:
        delete_where(session, Delivery, Delivery.subscriber_id.in_(ids))
        delete_where(session, Subscriber, Subscriber.id.in_(ids), Subscriber.confirmed_at.is_(None))


def _note(
    session: Session,
    event: Event,
    subscriber_id: int,
    change_id: str,
    *,
    reason: str | None = None,
    peer: str | None,
    now: datetime,
) -> None:
    subject = f"{SUBJECT}{change_id}"
    audit.record(session, event, reason=reason, subscriber_id=subscriber_id, subject=subject, peer=peer, now=now)
