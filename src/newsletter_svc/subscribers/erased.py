"""Addresses of people who were erased: known again by a keyed hash when a list names them, and in no other way.

The key of the hash is made once and rests in the database, sealed by the newest of the secret keys. So it outlives
their rotation, and whoever has a copy of the database alone cannot try addresses against it.
"""

import hmac
import os
from collections.abc import Iterable
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change, insert_if_absent
from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers.models import ErasedAddress, ErasureKey
from newsletter_svc.tokens import BadToken, Keyring

_ONLY = 1
"""There is one key, so that an address has one fingerprint."""
_NONCE = 12


class KeyLost(NewsletterError):
    """The key of the fingerprints was sealed by a secret key that is gone."""

    def __init__(self, sealed_by: str) -> None:
        super().__init__(
            f"Erased addresses cannot be known again without the secret key {sealed_by}: put it back at the end of "
            "SECRET_KEYS, run `newsletter purge`, and it can go."
        )
        self.sealed_by = sealed_by


def remember(session: Session, address_key: str, *, keyring: Keyring, now: datetime) -> None:
    """Know this address again. Raises KeyLost."""
    fingerprint = _fingerprint(_key(session, keyring) or _new_key(session, keyring), address_key)
    insert_if_absent(session, ErasedAddress, {"fingerprint": fingerprint, "erased_at": now}, unique=["fingerprint"])


def among(session: Session, address_keys: Iterable[str], *, keyring: Keyring) -> set[str]:
    """Which of these addresses (by `Address.key`) were erased. Raises KeyLost."""
    key = _key(session, keyring)
    if key is None:
        return set()
    known = {_fingerprint(key, address_key): address_key for address_key in address_keys}
    found = session.scalars(select(ErasedAddress.fingerprint).where(ErasedAddress.fingerprint.in_(known)))
    return {known[fingerprint] for fingerprint in found}


def reseal(session: Session, *, keyring: Keyring) -> None:
    """Let the newest secret key guard the fingerprints, so that older ones can go. Raises KeyLost."""
    row = session.get(ErasureKey, _ONLY, populate_existing=True)
    if row is not None and row.sealed_by != keyring.newest:
        values = {"sealed_by": keyring.newest, "sealed": _seal(_opened(row, keyring), keyring)}
        change(session, update(ErasureKey).where(ErasureKey.id == _ONLY).values(values))


def sealed_by(session: Session) -> str | None:
    """The id of the secret key without which nothing here is of use; None where nobody was ever erased."""
    return session.scalars(select(ErasureKey.sealed_by)).one_or_none()


def _key(session: Session, keyring: Keyring) -> bytes | None:
    row = session.get(ErasureKey, _ONLY, populate_existing=True)
    return None if row is None else _opened(row, keyring)


def _new_key(session: Session, keyring: Keyring) -> bytes:
    values = {"id": _ONLY, "sealed_by": keyring.newest, "sealed": _seal(AESGCM.generate_key(256), keyring)}
    # Of two that are the first at once, both go on with the key of one.
    insert_if_absent(session, ErasureKey, values, unique=["id"])
    return _opened(session.get_one(ErasureKey, _ONLY, populate_existing=True), keyring)


def _opened(row: ErasureKey, keyring: Keyring) -> bytes:
    sealed = bytes.fromhex(row.sealed)
    try:
        return AESGCM(keyring.derive(row.sealed_by, "erasure")).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except (BadToken, InvalidTag) as error:
        raise KeyLost(row.sealed_by) from error


def _seal(key: bytes, keyring: Keyring) -> str:
    nonce = os.urandom(_NONCE)
    return (nonce + AESGCM(keyring.derive(keyring.newest, "erasure")).encrypt(nonce, key, None)).hex()


def _fingerprint(key: bytes, address_key: str) -> str:
    return hmac.digest(key, address_key.encode(), "sha256").hex()
