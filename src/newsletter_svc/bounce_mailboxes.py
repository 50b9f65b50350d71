"""The mailbox that bounces come to, as BOUNCE_MAILBOX names it: `imaps://user:password@host:993/INBOX`."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from newsletter_svc.errors import NewsletterError

_NEVER_QUOTED = frozenset('"\\(){%*')
"""What a name may not have in it, since clients of IMAP hand it over as it is."""


class BadMailbox(NewsletterError):
    """An address that names no mailbox; the text says why, without repeating it: it holds a password."""


class Protocol(StrEnum):
    IMAPS = "imaps"
    IMAP = "imap"
    POP3S = "pop3s"
    POP3 = "pop3"

    @property
    def is_encrypted(self) -> bool:
        return self in (Protocol.IMAPS, Protocol.POP3S)

    @property
    def is_imap(self) -> bool:
        return self in (Protocol.IMAPS, Protocol.IMAP)


PORTS = {Protocol.IMAPS: 993, Protocol.IMAP: 143, Protocol.POP3S: 995, Protocol.POP3: 110}


@dataclass(frozen=True)
class Mailbox:
    """Where it is, and how to get in."""

    protocol: Protocol
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    """Of IMAP; in POP3 there is only one."""

    @property
    def server(self) -> str:
        """`imap.example.org:993`."""
        return f"{self.host}:{self.port}"


def parse(url: str) -> Mailbox:
    """The mailbox at this address; what is special in a name or password is written as %40. Raises BadMailbox."""
    try:
        parts = urlsplit(url)
        protocol, port = Protocol(parts.scheme), parts.port
    except ValueError:
        raise BadMailbox("it must begin with imaps:// or pop3s://, and its port be a number.") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    folder = unquote(parts.path.strip("/")) or "INBOX"
    if not (parts.hostname and user and password):
        raise BadMailbox("it must have a user, a password and a host: imaps://user:password@mail.example.org/INBOX.")
    if parts.query or parts.fragment:
        raise BadMailbox("there is more after the folder; write # and ? as %23 and %3F.")
    if not all(each.isascii() and each.isprintable() for each in (user, password, folder)):
        raise BadMailbox("user, password and folder must be of plain characters.")
    if _NEVER_QUOTED & set(user) or " " in user:
        raise BadMailbox("the user has characters that no mail server takes.")
    if not protocol.is_encrypted and not _is_loopback(parts.hostname):
        raise BadMailbox(f"{protocol}:// would show the password to the network: use {protocol}s://.")
    if not protocol.is_imap and parts.path.strip("/"):
        raise BadMailbox("POP3 knows no folders.")
    return Mailbox(protocol, parts.hostname, port or PORTS[protocol], user, password, folder)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
