"""One SMTP connection that carries many messages, and knows whether the final dot of each went out.

The commands are given one by one over `smtplib.SMTP`: its `sendmail` shows a close before DATA and one after the final
dot as the same exception, and hides a 421 in DATA.
"""

import smtplib
from collections.abc import Callable
from typing import Self

from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import (
    ConnectionClosed,
    OutcomeUnknown,
    ServerUnavailable,
    Stage,
)
from newsletter_svc.mail.idle import IdleConnections, leave
from newsletter_svc.mail.message import OutgoingMessage, nothing
from newsletter_svc.mail.refusals import NONSENSE, failure_at, too_large
from newsletter_svc.mail.replies import Reply
from newsletter_svc.mail.smtp_server import SmtpServer, cause_of

COMMAND_SECONDS = 60


class SmtpTransport:
    """Mail over SMTP. A connection that is done waits a few seconds for the next `connect`, in whatever thread."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._idle = IdleConnections()

    def connect(self) -> "SmtpConnection":
        """Return a connection, opened by `with`; that raises `ServerUnavailable` or `SenderRefused`."""
        return SmtpConnection(self._server, self._idle)


class SmtpConnection:
    """A connection that is opened again when the server closes it between two messages."""

    def __init__(self, server: SmtpServer, idle: IdleConnections) -> None:
        self._server = server
        self._idle = idle
        self._smtp: smtplib.SMTP | None = None
        self._has_carried = False

    def __enter__(self) -> Self:
        self._smtp = self._idle.take()
        # One that waited is like one that has carried: if the server closed it meanwhile, `send` opens another.
        self._has_carried = self._smtp is not None
        if self._smtp is None:
            self._open()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._smtp is None:
            return
        if kind is None and self._has_carried:
            self._idle.put(self._smtp)
        else:
            leave(self._smtp)
        self._smtp = None

    def send(self, message: OutgoingMessage, *, before_dot: Callable[[], None] = nothing) -> str:
        """Hand over one message and return the server's reply: `250 2.0.0 Ok: queued as 4F1`.

        Raises one of the classes in `mail.failures`; after a `Refusal` the next message may follow.
        """
        was_used = self._smtp is not None and self._has_carried
        try:
            return str(self._transact(message, before_dot))
        except ConnectionClosed:
            # Servers close after a number of messages without a word. Before the dot nothing is lost by starting anew.
            if not was_used:
                raise
        return str(self._transact(message, before_dot))

    def _transact(self, message: OutgoingMessage, before_dot: Callable[[], None]) -> Reply:
        if self._smtp is None:
            self._open()
        self._begin(message)
        self._name_reader(message)
        self._announce_content(message)
        self._send_content(message)
        before_dot()
        return self._send_dot(message)

    def _begin(self, message: OutgoingMessage) -> None:
        size, limit = len(message.content), self._size_limit()
        if limit and size > limit:
            raise too_large(size, limit)
        option = "" if limit is None else f" SIZE={size}"
        reply = self._command(Stage.MAIL, f"MAIL FROM:<{message.envelope_sender}>{option}", message)
        if reply.is_positive:
            return
        self._reset()
        raise failure_at(Stage.MAIL, reply)

    def _name_reader(self, message: OutgoingMessage) -> None:
        reply = self._command(Stage.RCPT, f"RCPT TO:<{message.recipient}>", message)
        if not reply.is_positive:
            self._reset()
            raise failure_at(Stage.RCPT, reply)

    def _announce_content(self, message: OutgoingMessage) -> None:
        reply = self._command(Stage.DATA, "DATA", message)
        if reply.code == 354:
            return
        failure = failure_at(Stage.DATA, reply)
        if isinstance(failure, ServerUnavailable):
            self._drop()
        else:
            self._reset()
        raise failure

    def _send_content(self, message: OutgoingMessage) -> None:
        try:
            self._connected.send(message.content.replace(b"\r\n.", b"\r\n.."))  # RFC 5321 4.5.2
        except OSError as error:
            self._drop()
            raise ConnectionClosed(Stage.DATA, cause=cause_of(error)) from None

    def _send_dot(self, message: OutgoingMessage) -> Reply:
        """From the first octet of the dot on, silence no longer means that the message was not accepted."""
        try:
            self._set_timeout(self._server.timeout)
            self._connected.send(b".\r\n")
            code, raw = self._connected.getreply()
            self._set_timeout(self._command_seconds)
        except OSError as error:
            self._drop()
            raise OutcomeUnknown(Stage.DOT, cause=cause_of(error)) from None
        self._has_carried = True
        reply = self._read(code, raw, message)
        if reply.is_positive:
            return reply
        failure = failure_at(Stage.DOT, reply)
        if isinstance(failure, ServerUnavailable | OutcomeUnknown):
            self._drop()
        raise failure

    def _command(self, stage: Stage, line: str, message: OutgoingMessage) -> Reply:
        """Return the reply to one command. Silence, nonsense or a 421 ends the connection."""
        try:
            code, raw = self._connected.docmd(line)
        except OSError as error:  # All exceptions of smtplib are OSErrors.
            self._drop()
            cause = cause_of(error)
            # Who waited in vain for a reply must not wait once more on a new connection.
            raise (ServerUnavailable if cause == "TimeoutError" else ConnectionClosed)(stage, cause=cause) from None
        reply = self._read(code, raw, message)
        if reply.code == replies.CLOSING:
            self._drop()
            # At MAIL this is the polite way of closing after a number of messages.
            raise (ConnectionClosed if stage is Stage.MAIL else ServerUnavailable)(stage, reply)
        if not 200 <= reply.code <= 599:
            self._drop()
            raise ServerUnavailable(stage, cause=NONSENSE)
        return reply

    def _reset(self) -> None:
        """Take back a transaction, so that the next message starts clean: by RSET, or on a new connection."""
        self._has_carried = True
        try:
            code, _ = self._connected.docmd("RSET")
        except OSError:
            code = -1
        if code != 250:
            self._drop()

    def _open(self) -> None:
        self._has_carried = False
        self._smtp = self._server.open()
        self._set_timeout(self._command_seconds)

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    @property
    def _connected(self) -> smtplib.SMTP:
        if self._smtp is None:
            raise RuntimeError("the connection is used outside its with block")
        return self._smtp

    @property
    def _command_seconds(self) -> float:
        return min(COMMAND_SECONDS, self._server.timeout)

    def _set_timeout(self, seconds: float) -> None:
        if (sock := self._connected.sock) is not None:
            sock.settimeout(seconds)

    def _size_limit(self) -> int | None:
        """None where the server does not know SIZE, 0 where it names no limit (RFC 1870 4)."""
        stated = self._connected.esmtp_features.get("size")
        if stated is None:
            return None
        return int(stated) if stated.isascii() and stated.isdigit() else 0

    def _read(self, code: int, raw: bytes, message: OutgoingMessage) -> Reply:
        secrets = (message.recipient, message.envelope_sender, self._server.username or "")
        return replies.read(code, raw, secrets=secrets)
