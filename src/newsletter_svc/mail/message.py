"""The plain values a mail is made of, from the letter that is written to the bytes that are carried."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from newsletter_svc.errors import NewsletterError


class UnsendableMessage(NewsletterError):
    """No correct mail can be made of these values. `reason` says why and quotes neither address nor text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def nothing() -> None:
    """What happens before the final dot where nobody asked for more."""


class Stream(StrEnum):
    """What a mail is for; each stream has a sender of its own, so that complaints about one do not hurt the other."""

    TRANSACTIONAL = "transactional"
    DIGEST = "digest"


class Mailbox(NamedTuple):
    """An address with the name of whom it belongs to: `Mailbox("ada@example.org", "Ada Lovelace")`."""

    email: str
    name: str = ""


@dataclass(frozen=True)
class Rendered:
    """What a reader sees: one line of subject, the text part, and the HTML part (empty for a mail of text alone)."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Letter:
    """What a letter function returns: to whom, what, and the headers that only this kind carries."""

    recipient: Mailbox
    rendered: Rendered
    stream: Stream
    headers: tuple[tuple[str, str], ...] = ()


class Compiled(Protocol):
    """A letter made once for all its readers; `join` gives one reader's octets, ready for the wire."""

    def join(self, *, recipient: Mailbox, message_id: str, date: datetime, values: Mapping[str, str]) -> bytes: ...

    def join_and_hash(
        self, *, recipient: Mailbox, message_id: str, date: datetime, values: Mapping[str, str]
    ) -> tuple[bytes, bytes]:
        """The same, and the SHA-256 of the body as DKIM wants it hashed."""


class Copy(NamedTuple):
    """One reader's copy of a compiled letter: to whom, and what stands in its slots."""

    recipient: Mailbox
    compiled: Compiled
    values: Mapping[str, str]


@dataclass(frozen=True)
class OutgoingMessage:
    """A finished mail: the envelope's two bare addresses and the bytes, CRLF throughout and ASCII only."""

    envelope_sender: str
    recipient: str
    message_id: str
    content: bytes
