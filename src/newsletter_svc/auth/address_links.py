"""The two links of a change of address: one proves the new address, the other undoes it from the old one."""

import base64
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.subscribers.models import AddressChange
from newsletter_svc.tokens import BadToken, Keyring, Purpose, fingerprint
from newsletter_svc.words import ReaderError

NONCE_BYTES = 20


class Step(StrEnum):
    """What a link is for; the values go into its nonce."""

    PROVE = "change-address"
    UNDO = "undo-address"


_PURPOSES = {Step.PROVE: Purpose.CHANGE_ADDRESS, Step.UNDO: Purpose.UNDO_ADDRESS}


class ChangeGone(ReaderError):
    """The link was used, has expired, or was never one of ours."""

    def __init__(self) -> None:
        super().__init__("problems.change_gone")


def nonce(keyring: Keyring, change_id: str, step: Step, *, key_id: str) -> str:
    """160 bits that name a change and a step; the database holds their hash."""
    raw = keyring.derive(key_id, step, change_id)[:NONCE_BYTES]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(keyring: Keyring, change: AddressChange, step: Step) -> str:
    """The same at every call, so that every retry of a mail carries the same link."""
    return keyring.issue(_PURPOSES[step], [nonce(keyring, change.id, step, key_id=change.key_id)])


def find(session: Session, text: str, step: Step, *, keyring: Keyring, now: datetime) -> AddressChange:
    """The change that a link names, while the link is good for its step. Raises ChangeGone."""
    try:
        payload = keyring.read(_PURPOSES[step], text)
    except BadToken as error:
        raise ChangeGone from error
    match payload:
        case [str(given)]:
            hashed = AddressChange.nonce_hash if step is Step.PROVE else AddressChange.undo_hash
            named = select(AddressChange).where(hashed == fingerprint(given))
            change = session.scalars(named.execution_options(populate_existing=True)).one_or_none()
            if change is not None and change.key_id in keyring.all and is_open(change, step, now=now):
                return change
    raise ChangeGone


def is_open(change: AddressChange, step: Step, *, now: datetime) -> bool:
    """Whether this step can still be taken."""
    if step is Step.PROVE:
        return change.done_at is None and change.expires_at > now
    return change.undone_at is None and change.undo_until is not None and change.undo_until > now
