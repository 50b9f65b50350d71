"""How mail leaves: Flask-Mail is the face that applications know, a transport of ours carries the mail.

Flask-Mail's own connection checks no certificate, has no timeout and sends 8-bit lines that it never announced. Its
`Mail`, its settings and `record_messages` work as its manual says.
"""

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from secrets import token_hex
from typing import Self

import flask_mail
import structlog
from flask import Flask

from newsletter_svc.clock import utcnow
from newsletter_svc.mail import mime
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.dkim import Signer
from newsletter_svc.mail.message import Mailbox, OutgoingMessage, Rendered, UnsendableMessage, nothing
from newsletter_svc.mail.transport import Carrier, Transport, choose_signer, choose_transport
from newsletter_svc.settings import Settings

log = structlog.get_logger()

_SHARED_SETTINGS = (
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_USE_TLS",
    "MAIL_USE_SSL",
    "MAIL_USERNAME",
    "MAIL_PASSWORD",
    "MAIL_DEFAULT_SENDER",
)


class Mail(flask_mail.Mail):
    """Flask-Mail over a transport of ours; itself a `Transport`, so whoever records messages sees all of them."""

    def __init__(self, app: Flask, transport: Transport, *, signer: Signer | None = None) -> None:
        super().__init__(app)
        # Flask-Mail puts its bare state here, whose connections are its own. This looks the same and gives ours.
        app.extensions["mail"] = self
        self.flask_app = app
        self.transport = transport
        self.signer = signer

    def connect(self) -> "Connection":
        """Return a connection that takes our messages and Flask-Mail's."""
        return Connection(self)


class Connection(flask_mail.Connection):
    """What `with mail.connect()` gives: for each message it tells Flask-Mail's listeners once it was accepted."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._opened = ExitStack()
        self._carrier: Carrier | None = None

    def __enter__(self) -> Self:
        if not self._mail.suppress:
            self._carrier = self._opened.enter_context(self._mail.transport.connect())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._carrier = None
        self._opened.close()

    def send(  # type: ignore[override]  # Flask-Mail's returns nothing.
        self,
        message: OutgoingMessage | flask_mail.Message,
        envelope_from: object = None,
        *,
        before_dot: Callable[[], None] = nothing,
    ) -> str:
        """Hand over a message and return the server's reply. Raises one of `mail.failures`.

        A message of Flask-Mail goes to each of its recipients by itself, in our bytes.
        """
        if isinstance(message, OutgoingMessage):
            reply = self._carry(message, before_dot)
            self._tell(message)
            return reply
        replies = [self._carry(outgoing, before_dot) for outgoing in _from_flask(message, envelope_from)]
        flask_mail.email_dispatched.send(self._mail.flask_app, message=message)
        return "\n".join(replies)

    def _carry(self, message: OutgoingMessage, before_dot: Callable[[], None]) -> str:
        if self._carrier is None:
            return "250 suppressed"
        # Last of all, since a signature covers the mail as it leaves: whatever comes by here is signed, or nothing.
        if (signer := self._mail.signer) is not None:
            message = replace(message, content=signer.sign(message.content, now=utcnow()))
        return self._carrier.send(message, before_dot=before_dot)

    def _tell(self, message: OutgoingMessage) -> None:
        if not flask_mail.email_dispatched.receivers:
            return
        try:
            with self._mail.flask_app.app_context():
                flask_mail.email_dispatched.send(self._mail.flask_app, message=_to_flask(message))
        except Exception as error:  # The mail is out; a listener's trouble must not have it sent again.
            log.error("mail_listener_failed", error=type(error).__name__)


def open_mail(app: Flask, settings: Settings, *, tls: ssl.SSLContext | None = None) -> Mail:
    """Give the application its mail. `tls` replaces the system's certificates.

    Raises `NoMailServer`, and `dkim_keys.UnusableKey`.
    """
    app.config.update({name: getattr(settings, name.lower()) for name in _SHARED_SETTINGS})
    # Flask-Mail is silent under TESTING; here a mail that nobody sent would be marked as sent.
    app.config.setdefault("MAIL_SUPPRESS_SEND", False)
    return Mail(app, choose_transport(settings, tls=tls), signer=choose_signer(settings))


def _from_flask(message: flask_mail.Message, envelope_from: object) -> list[OutgoingMessage]:
    """Return one message of ours for each recipient. Raises `UnsendableMessage` for what we never send."""
    if message.attachments or message.cc or message.bcc or set(message.alts) - {"html"}:
        raise UnsendableMessage("one mail has one reader, a text and an HTML part, and no attachments")
    sender = _mailbox(message.sender)
    return [_one_from_flask(message, sender, _mailbox(to), envelope_from) for to in message.recipients]


def _one_from_flask(
    message: flask_mail.Message, sender: Mailbox, recipient: Mailbox, envelope_from: object
) -> OutgoingMessage:
    message_id = f"<{token_hex(16)}@{wire_address(sender.email).rpartition('@')[2]}>"
    content = mime.build(
        Rendered(message.subject, message.body or "", message.html or ""),
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        date=utcnow() if message.date is None else datetime.fromtimestamp(message.date, UTC),
        reply_to=_mailbox(message.reply_to) if message.reply_to else None,
        extra=(message.extra_headers or {}).items(),
    )
    envelope_sender = _mailbox(envelope_from).email if envelope_from else sender.email
    return OutgoingMessage(wire_address(envelope_sender), wire_address(recipient.email), message_id, content)


def _mailbox(given: object) -> Mailbox:
    name, email = given if isinstance(given, tuple) else parseaddr(str(given))
    return Mailbox(email, name)


def _to_flask(message: OutgoingMessage) -> flask_mail.Message:
    """Return the message as Flask-Mail's listeners expect it. Needs an application context."""
    parsed = message_from_bytes(message.content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)  # noqa: S101  # What policy.default makes.
    shown = flask_mail.Message(
        subject=parsed["Subject"], sender=parsed["From"], recipients=[message.recipient], body=_part(parsed, "plain"),
        html=_part(parsed, "html"),
    )  # fmt: skip
    shown.msgId = message.message_id
    return shown


def _part(parsed: EmailMessage, subtype: str) -> str | None:
    part = parsed.get_body((subtype,))
    return part.get_content() if part is not None else None
