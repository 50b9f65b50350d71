"""Fetching mail from a mailbox by IMAP or POP3, one message at a time, each cut off at a limit."""

import imaplib
import poplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from newsletter_svc.bounce_mailboxes import Mailbox
from newsletter_svc.errors import NewsletterError

TIMEOUT_SECONDS = 30.0
"""For each answer of the server. The standard library would wait for ever."""
_LONGEST_LINE = 64 * 1024


class MailboxTrouble(NewsletterError):
    """The mailbox cannot be read, or not any further; the text says why, without the password."""


class Fetched(NamedTuple):
    """A message that is still in the mailbox."""

    name: str
    raw: bytes
    """Up to the limit; what stands behind it is left at the server, or forgotten."""
    done: Callable[[], None]
    """To be called when it needs not be read again: by IMAP it is marked as seen, by POP3 it goes at the end."""
    set_aside: Callable[[], None]
    """To be called instead when nothing can be made of it, so that people look: by IMAP it is flagged and seen."""


@contextmanager
def opened(mailbox: Mailbox, *, limit: int, context: ssl.SSLContext | None = None) -> Iterator[Iterator[Fetched]]:
    """The messages that nobody has read yet, oldest first. `context` is for certificates that the system does not know.

    Whatever happens in between, a message is lost to nobody: one that was not called done is there the next time.
    Raises MailboxTrouble, also while the messages are gone through.
    """
    checked = context or ssl.create_default_context()
    with (
        _told(mailbox),
        _imap(mailbox, limit, checked) if mailbox.protocol.is_imap else _pop(mailbox, limit, checked) as messages,
    ):
        yield messages


@contextmanager
def _told(mailbox: Mailbox) -> Iterator[None]:
    where = f"The mailbox at {mailbox.server}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise MailboxTrouble(f"{where} is not believed to be itself: {error.verify_message}.") from error
    except TimeoutError as error:
        raise MailboxTrouble(f"{where} gave no answer for {TIMEOUT_SECONDS:.0f} seconds.") from error
    except _Refused as error:
        raise MailboxTrouble(f"{where} does not let us in: look at user, password and folder.") from error
    except (imaplib.IMAP4.abort, EOFError) as error:
        raise MailboxTrouble(f"{where} closed the connection.") from error
    except (imaplib.IMAP4.error, poplib.error_proto) as error:
        raise MailboxTrouble(f"{where} answered what we do not understand.") from error
    except OSError as error:
        raise MailboxTrouble(f"{where} cannot be reached: {error.strerror or type(error).__name__}.") from error


class _Refused(Exception):
    """The server knows us and says no."""


@contextmanager
def _imap(mailbox: Mailbox, limit: int, context: ssl.SSLContext) -> Iterator[Iterator[Fetched]]:
    client = (
        imaplib.IMAP4_SSL(mailbox.host, mailbox.port, ssl_context=context, timeout=TIMEOUT_SECONDS)
        if mailbox.protocol.is_encrypted
        else imaplib.IMAP4(mailbox.host, mailbox.port, timeout=TIMEOUT_SECONDS)
    )
    try:
        _imap_login(client, mailbox)
        yield _imap_messages(client, limit)
    finally:
        with suppress(imaplib.IMAP4.error, OSError):
            client.logout()
        # Where the server has gone the library leaves its socket open.
        with suppress(OSError):
            client.shutdown()


def _imap_login(client: imaplib.IMAP4, mailbox: Mailbox) -> None:
    folder = mailbox.folder.replace("\\", "\\\\").replace('"', '\\"')
    try:
        client.login(mailbox.user, mailbox.password)
        answer, _ = client.select(f'"{folder}"')
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise _Refused from error
    if answer != "OK":
        raise _Refused


def _imap_messages(client: imaplib.IMAP4, limit: int) -> Iterator[Fetched]:
    _, found = client.uid("SEARCH", "UNSEEN", "UNDELETED")
    for uid in b" ".join(each for each in found if each).split():
        _, answer = client.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{limit}>)")
        body = next((each[1] for each in answer if isinstance(each, tuple)), None)
        if body is None:
            continue  # Somebody else has taken it away.
        yield Fetched(
            f"message {uid.decode()}",
            body,
            done=partial(_imap_mark, client, uid, "\\Seen"),
            set_aside=partial(_imap_mark, client, uid, "\\Seen \\Flagged"),
        )


def _imap_mark(client: imaplib.IMAP4, uid: bytes, flags: str) -> None:
    client.uid("STORE", uid.decode(), "+FLAGS.SILENT", f"({flags})")


class _Closing:
    """The library leaves the socket open where the greeting is none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        try:
            super().__init__(*arguments, **options)
        except BaseException:
            if isinstance(self, poplib.POP3) and hasattr(self, "file"):
                self.close()
            raise


class _Pop(_Closing, poplib.POP3):
    pass


class _PopOverTls(_Closing, poplib.POP3_SSL):
    pass


@contextmanager
def _pop(mailbox: Mailbox, limit: int, context: ssl.SSLContext) -> Iterator[Iterator[Fetched]]:
    client = (
        _PopOverTls(mailbox.host, mailbox.port, context=context, timeout=TIMEOUT_SECONDS)
        if mailbox.protocol.is_encrypted
        else _Pop(mailbox.host, mailbox.port, timeout=TIMEOUT_SECONDS)
    )
    try:
        try:
            client.user(mailbox.user)
            client.pass_(mailbox.password)
        except poplib.error_proto as error:
            raise _Refused from error
        yield _pop_messages(client, limit)
        # Only now the server deletes, and only what was committed.
        client.quit()
    finally:
        with suppress(OSError):
            client.close()


def _pop_messages(client: poplib.POP3, limit: int) -> Iterator[Fetched]:
    count, _ = client.stat()
    for number in range(1, count + 1):
        yield Fetched(
            f"message {number}",
            _pop_body(client, number, limit),
            done=partial(_pop_delete, client, number),
            set_aside=lambda: None,
        )


def _pop_body(client: poplib.POP3, number: int, limit: int) -> bytes:
    """A message up to the limit. The library's own way keeps all of it, and gives up at a line of 2 kB."""
    client.sock.sendall(b"RETR %d\r\n" % number)
    if not _pop_line(client).startswith(b"+OK"):
        raise poplib.error_proto("RETR")
    body, is_start = bytearray(), True
    while not (is_start and (line := _pop_line(client)) == b".\r\n"):
        line = _pop_line(client) if not is_start else line
        if len(body) < limit:
            body += line[1:] if is_start and line.startswith(b".") else line
        is_start = line.endswith(b"\n")
    return bytes(body[:limit])


def _pop_line(client: poplib.POP3) -> bytes:
    line: bytes = client.file.readline(_LONGEST_LINE)
    if not line:
        raise EOFError
    return line


def _pop_delete(client: poplib.POP3, number: int) -> None:
    client.dele(number)
