"""The mail server of the settings: reached, protected, signed in to, and asked whether it takes our senders."""

import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import replace

from newsletter_svc.clock import utcnow
from newsletter_svc.doctor.findings import Finding, Topic, Verdict
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import DeliveryError
from newsletter_svc.mail.smtp_server import Security, SmtpServer
from newsletter_svc.mail.transport import smtp_server
from newsletter_svc.settings import is_loopback

ANSWER_SECONDS = 15
_DAY = 24 * 60 * 60
_SOON_DAYS = 14
_CAUSES = {
    "gaierror": "its name cannot be resolved",
    "ConnectionRefusedError": "nothing listens on that port",
    "TimeoutError": f"it does not answer within {ANSWER_SECONDS} seconds (a firewall, or the wrong port)",
    "SMTPNotSupportedError": "it offers no STARTTLS; set MAIL_USE_SSL if it speaks TLS from the first byte",
    "SSLError": "it speaks no TLS there; MAIL_USE_SSL is for port 465, MAIL_USE_TLS (STARTTLS) for 587",
    "SMTPServerDisconnected": "it closes the connection; MAIL_USE_SSL is for port 465, MAIL_USE_TLS for 587",
}


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of MAIL_SERVER. Nothing is sent to anybody."""
    if setup.settings.mail_server is None:
        text = "is not set: mail goes to the local mailbox of development, and leaves this machine never."
        yield Finding(Verdict.UNCHECKED, Topic.SERVER, "MAIL_SERVER", text)
        return
    server = replace(smtp_server(setup.settings, tls=setup.tls), timeout=ANSWER_SECONDS)
    try:
        with replace(server, username=None).open() as smtp:
            yield from _protection(server, smtp)
    except DeliveryError as error:
        yield _finding(Verdict.FAILURE, server, f"cannot be used: {_why(error)}.")
        return
    yield from _sign_in(setup, server)


def _protection(server: SmtpServer, smtp: smtplib.SMTP) -> Iterator[Finding]:
    if isinstance(smtp.sock, ssl.SSLSocket):
        days = _days_left(smtp.sock)
        text = f"is reached over {smtp.sock.version()}; its certificate is good for {days} days."
        yield _finding(Verdict.WARNING if days < _SOON_DAYS else Verdict.GOOD, server, text)
    elif is_loopback(server.host):
        yield _finding(Verdict.GOOD, server, "is reached on this machine, without TLS.")
    elif server.username is not None:
        text = "would get the password in plain text: set MAIL_USE_TLS or MAIL_USE_SSL."
        yield _finding(Verdict.FAILURE, server, text)
    else:
        offered = " It offers STARTTLS: set MAIL_USE_TLS." if smtp.has_extn("starttls") else ""
        yield _finding(Verdict.WARNING, server, f"is reached without TLS: anybody on the way can read mail.{offered}")


def _sign_in(setup: Setup, server: SmtpServer) -> Iterator[Finding]:
    if server.username is not None and server.security is Security.NONE and not is_loopback(server.host):
        return  # The password stays here: that it would travel in plain text has been said.
    try:
        with server.open() as smtp:
            if server.username is not None:
                yield _finding(Verdict.GOOD, server, "takes MAIL_USERNAME and MAIL_PASSWORD.")
            for sender in setup.envelope_senders:
                yield _takes(server, smtp, sender)
    except DeliveryError as error:
        yield _finding(Verdict.FAILURE, server, f"does not let us sign in: {_why(error)}.")
    except (OSError, smtplib.SMTPException) as error:
        yield _finding(Verdict.FAILURE, server, f"closes the connection ({type(error).__name__}).")


def _takes(server: SmtpServer, smtp: smtplib.SMTP, sender: str) -> Finding:
    """Ask with MAIL and take it back with RSET: no reader is named and nothing is sent."""
    code, raw = smtp.docmd(f"MAIL FROM:<{sender}>")
    reply = replies.read(code, raw)
    smtp.docmd("RSET")
    if reply.is_positive:
        return _finding(Verdict.GOOD, server, f"takes mail from {sender}.")
    return _finding(Verdict.FAILURE, server, f"does not take mail from {sender}: {reply}.")


def _why(error: DeliveryError) -> str:
    if error.reply is not None:
        return f"it answers {error.reply}"
    reason = error.__context__
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({reason.verify_message.rstrip('.')})"
    return _CAUSES.get(error.cause, error.cause or "it says nothing")


def _days_left(connection: ssl.SSLSocket) -> int:
    certificate = connection.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return int((ends - utcnow().timestamp()) / _DAY)


def _finding(verdict: Verdict, server: SmtpServer, text: str) -> Finding:
    return Finding(verdict, Topic.SERVER, f"{server.host}:{server.port}", text)
