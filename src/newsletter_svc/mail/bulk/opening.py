"""Which engine carries mailings: over SMTP where a mail server is set, else into the local mailbox of development."""

import ssl
from collections.abc import Callable

from newsletter_svc.mail.bulk.driver import Engine, Plan
from newsletter_svc.mail.bulk.mailbox_engine import MailboxEngine
from newsletter_svc.mail.bulk.parcels import Feed
from newsletter_svc.mail.mailbox import MailboxTransport
from newsletter_svc.mail.transport import choose_transport, smtp_server
from newsletter_svc.settings import Settings

PATIENCE_SECONDS = 5.0
"""How long no connection comes about until a run is given up: others may be refused since a few are enough."""


def opener(
    settings: Settings, *, tls: ssl.SSLContext | None = None, patience: float = PATIENCE_SECONDS
) -> Callable[[Feed], Engine | MailboxEngine]:
    """Return what makes an engine for a feed, on the loop that it will run on. Raises `NoMailServer`.

    `tls` replaces the system's certificates.
    """
    transport = choose_transport(settings)
    if isinstance(transport, MailboxTransport):
        return lambda feed: MailboxEngine(transport, feed)
    server = smtp_server(settings, tls=tls)
    plan = Plan(
        connections=settings.mail_connections, per_connection=settings.mail_messages_per_connection, patience=patience
    )
    return lambda feed: Engine(server, feed, plan=plan)
