"""The ways out for single mails: SMTP, or the local mailbox of development; and who signs."""

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from newsletter_svc.dkim_keys import read_key
from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.dkim import Signer
from newsletter_svc.mail.mailbox import MailboxTransport
from newsletter_svc.mail.message import OutgoingMessage, nothing
from newsletter_svc.mail.smtp import SmtpTransport
from newsletter_svc.mail.smtp_server import Security, SmtpServer
from newsletter_svc.settings import Settings


class Carrier(Protocol):
    """Takes one message after the other; `send` returns the server's reply or raises one of `mail.failures`.

    `before_dot` is called when the message can no longer be taken back: from then on silence is not a refusal.
    """

    def send(self, message: OutgoingMessage, *, before_dot: Callable[[], None] = nothing) -> str: ...


class Transport(Protocol):
    """A way out. `with transport.connect() as carrier:` opens and closes it."""

    def connect(self) -> AbstractContextManager[Carrier]: ...


class NoMailServer(NewsletterError):
    """There is no MAIL_SERVER, and the local mailbox is for development only."""


class LateTransport:
    """A way out that is made when the first mail asks for it: most commands send nothing by it."""

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make

    @cached_property
    def _transport(self) -> Transport:
        return self._make()

    def connect(self) -> AbstractContextManager[Carrier]:
        """Open it."""
        return self._transport.connect()


def choose_transport(settings: Settings, *, tls: ssl.SSLContext | None = None) -> Transport:
    """Return SMTP where a server is named, else the local mailbox of development. Raises `NoMailServer`."""
    if settings.mail_server is not None:
        return SmtpTransport(smtp_server(settings, tls=tls))
    if settings.mailbox_dir is None or settings.is_production:
        raise NoMailServer("MAIL_SERVER is not set")
    return MailboxTransport(settings.mailbox_dir)


def choose_signer(settings: Settings) -> Signer | None:
    """Return what signs every mail, or None where the mail server does it or nobody. Raises `dkim_keys.UnusableKey`."""
    domain, selector, key_file = settings.dkim_domain, settings.dkim_selector, settings.dkim_private_key_file
    if domain is None or selector is None or key_file is None:
        return None
    return Signer(domain=domain, selector=selector, private_key=read_key(key_file))


def smtp_server(settings: Settings, *, tls: ssl.SSLContext | None = None) -> SmtpServer:
    """Return the server that the settings name."""
    security = Security.IMPLICIT if settings.mail_use_ssl else Security.STARTTLS
    return SmtpServer(
        host=settings.mail_server or "",
        port=settings.mail_port,
        helo=_helo(settings.public_url),
        security=security if settings.mail_use_ssl or settings.mail_use_tls else Security.NONE,
        username=settings.mail_username,
        password=settings.mail_password,
        timeout=settings.mail_timeout,
        tls=tls,
    )


def _helo(public_url: str) -> str:
    """Introduce us by the public name: the machine's own is nobody's business (RFC 5321 4.1.3 for addresses)."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        address = ip_address(host)
    except ValueError:
        return host if host.isascii() else "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
