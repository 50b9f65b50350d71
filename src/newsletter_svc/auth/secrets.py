"""The secrets behind a magic link, each made again from the row's random id under the secret key.

Nothing secret rests in the database, a letter can be composed when it is sent, and every retry carries the same link.
"""

import base64
import hmac
from dataclasses import dataclass

from newsletter_svc.auth.models import MagicLink
from newsletter_svc.tokens import BadToken, Keyring, Purpose

NONCE_BYTES = 20
CODE_DIGITS = 6


@dataclass(frozen=True)
class Ticket:
    """What a magic link's token says: which link, and through which door it was asked for."""

    nonce: str
    door: str


def nonce(keyring: Keyring, link_id: str, *, key_id: str) -> str:
    """160 bits that name the link; the database holds their hash."""
    raw = keyring.derive(key_id, "nonce", link_id)[:NONCE_BYTES]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(keyring: Keyring, link: MagicLink) -> str:
    """The token of this link: the same at every call."""
    payload = [nonce(keyring, link.id, key_id=link.key_id), link.door.value, int(link.expires_at.timestamp())]
    return keyring.issue(Purpose.MAGIC_LINK, payload)


def read(keyring: Keyring, text: str) -> Ticket:
    """What a token says. Raises BadToken. Whether it is still good is the row's to say: its clock is the only one."""
    match keyring.read(Purpose.MAGIC_LINK, text):
        case [str(link_nonce), str(door), int()]:
            return Ticket(link_nonce, door)
        case _:
            raise BadToken("unknown payload")


def code(keyring: Keyring, link: MagicLink) -> str:
    """The six digits that stand in the same mail."""
    number = int.from_bytes(keyring.derive(link.key_id, "code", link.id)[:8])
    return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def code_matches(keyring: Keyring, link: MagicLink, typed: str) -> bool:
    return hmac.compare_digest(code(keyring, link).encode(), typed.encode())


def session_secret(keyring: Keyring, link: MagicLink, *, asker: bool) -> str:
    """The session that redeeming this link gives: one for the browser that asked, another for anybody else.

    Made, not drawn, so that the asking browser that lost the answer (a crash, a double click) gets the same session.
    """
    holder = "asker" if asker else "stranger"
    return base64.urlsafe_b64encode(keyring.derive(link.key_id, "session", link.id, holder)).decode().rstrip("=")
