"""What goes in and what comes back: a ready message, and whoever hands them out and hears how each ended."""

from typing import NamedTuple, Protocol

from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.failures import DeliveryError, OutcomeUnknown, Refusal
from newsletter_svc.mail.message import OutgoingMessage


class RawReply(NamedTuple):
    """A server's reply as it came: `RawReply(250, b"2.0.0 Ok: queued as 4F1")`, lines joined by LF.

    Code 0 stands for what is no reply at all. `replies.read(reply.code, reply.text)` makes it fit to be kept.
    """

    code: int
    text: bytes


class Parcel(NamedTuple):
    """One message to one address, ready for the wire.

    `key` is the ledger's id. The addresses come from `wire_address`, so they hold no line break. `content` ends with
    CRLF, and no line of it begins with a single dot: `pack` sees to that, and a compiled letter is made like that.
    """

    key: int
    sender: bytes
    recipient: bytes
    content: bytes


class Feed(Protocol):
    """Hands out parcels and hears how each ended; every parcel ends in exactly one of the last four ways.

    All of it is called from the loop that carries the mail, between two packets: nothing here may block.
    """

    @property
    def is_exhausted(self) -> bool:
        """Whether `take` will never again return a parcel. When this changes, or when there are parcels again, the
        engine has to be woken.
        """

    def take(self) -> Parcel | None:
        """Return the next parcel, or None while there is none."""

    def intent(self, parcel: Parcel) -> None:
        """Hear that the next write carries the final dot of this parcel: from here on silence means unknown."""

    def accepted(self, parcel: Parcel, reply: RawReply) -> None:
        """Hear that the server took it."""

    def refused(self, parcel: Parcel, refusal: Refusal) -> None:
        """Hear that the server spoke about this message or its reader."""

    def unknown(self, parcel: Parcel, failure: OutcomeUnknown) -> None:
        """Hear that the dot went out and that no reply came."""

    def returned(self, parcel: Parcel, failure: DeliveryError | None) -> None:
        """Take back a parcel that was certainly not accepted; nobody said anything about its reader."""


def pack_plain(key: int, *, sender: bytes, recipient: str, content: bytes) -> Parcel:
    """Return octets that `mime.build` or a compiled letter made as a parcel. Raises `UnsendableMessage`.

    `sender` is what `wire_address` made of it, since it is checked once for many.
    """
    return Parcel(key, sender, wire_address(recipient).encode("ascii"), content)


def pack(key: int, message: OutgoingMessage) -> Parcel:
    """Return a finished mail as a parcel, its dots doubled (RFC 5321 4.5.2)."""
    content = message.content if message.content.endswith(b"\r\n") else message.content + b"\r\n"
    content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return Parcel(key, message.envelope_sender.encode("ascii"), message.recipient.encode("ascii"), content)
