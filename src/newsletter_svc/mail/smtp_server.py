"""The mail server that the settings name: reaching it, protecting the connection, signing in."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import SenderRefused, ServerUnavailable, Stage
from newsletter_svc.mail.replies import Reply

CONNECT_SECONDS = 30


class Security(StrEnum):
    """How a connection is protected. There is no "if possible": what is asked for holds, or nothing is sent."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where and how mail is handed over. `timeout` is how many seconds the reply to the final dot may take."""

    host: str
    port: int
    helo: str
    security: Security = Security.NONE
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 600
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None for the system's certificates, with every check."""

    def open(self) -> smtplib.SMTP:
        """Return a connection that is ready for its first message. Raises `ServerUnavailable` or `SenderRefused`."""
        with _failing_at(Stage.CONNECT):
            smtp = self._reach()
        try:
            if smtp.sock is not None:
                # Else the final dot, a packet of its own, waits up to 40 ms until the content is acknowledged.
                smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with _failing_at(Stage.CONNECT):
                _greet(smtp)
            if self.security is Security.STARTTLS:
                with _failing_at(Stage.TLS):
                    smtp.starttls(context=self._context())
                    _greet(smtp)
            if self.username is not None:
                with _failing_at(Stage.AUTH):
                    self._sign_in(smtp, self.username, self.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _reach(self) -> smtplib.SMTP:
        seconds = min(CONNECT_SECONDS, self.timeout)
        if self.security is Security.IMPLICIT:
            return smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=self.helo, timeout=seconds, context=self._context()
            )
        return smtplib.SMTP(self.host, self.port, local_hostname=self.helo, timeout=seconds)

    def _context(self) -> ssl.SSLContext:
        return self.tls or ssl.create_default_context()

    def _sign_in(self, smtp: smtplib.SMTP, username: str, password: str) -> None:
        try:
            smtp.login(username, password)
        except smtplib.SMTPServerDisconnected:
            raise
        except UnicodeError:
            # The exception holds the password, so nothing of it goes on.
            raise SenderRefused(Stage.AUTH, cause="only ASCII credentials can be sent") from None
        except smtplib.SMTPResponseException as error:
            reply = _reply_in(error, secrets=(username, password))
            raise (SenderRefused if reply.is_permanent else ServerUnavailable)(Stage.AUTH, reply) from None
        except smtplib.SMTPException:
            raise SenderRefused(Stage.AUTH, cause="the server offers no way of signing in that we know") from None


def _greet(smtp: smtplib.SMTP) -> None:
    """Introduce us. Only a server that does not know EHLO is asked with HELO: smtplib would ask after a 421 as well."""
    code, raw = smtp.ehlo()
    if 500 <= code <= 599:
        code, raw = smtp.helo()
    if not 200 <= code <= 299:
        raise smtplib.SMTPHeloError(code, raw)


@contextlib.contextmanager
def _failing_at(stage: Stage) -> Iterator[None]:
    """Turn what the network, TLS and smtplib raise into `ServerUnavailable`: nobody has spoken of a reader yet."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise ServerUnavailable(stage, _reply_in(error)) from None
    except (OSError, UnicodeError) as error:  # Those of smtplib, ssl and the name service are OSErrors.
        raise ServerUnavailable(stage, cause=cause_of(error)) from None


def _reply_in(error: smtplib.SMTPResponseException, *, secrets: tuple[str, ...] = ()) -> Reply:
    raw = error.smtp_error
    return replies.read(error.smtp_code, raw if isinstance(raw, bytes) else raw.encode(), secrets=secrets)


def cause_of(error: Exception) -> str:
    """Name what happened in a word that may be logged: `ConnectionRefusedError`, `SSLCertVerificationError`."""
    # smtplib wraps what the socket said in an exception of its own.
    inner = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    return type(inner or error).__name__
