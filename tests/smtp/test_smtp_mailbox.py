"""`newsletter bounces read --mailbox`: a real server by IMAP and POP3, and servers that fail in every way."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import trustme
from sqlalchemy import select

from newsletter_svc.bounce_mailboxes import BadMailbox, Mailbox, parse
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, returned, returned_mailbox
from newsletter_svc.delivery.models import Delivery, Suppression
from newsletter_svc.delivery.returned_mailbox import Taken
from newsletter_svc.doctor import mailbox_check
from newsletter_svc.doctor.findings import Verdict
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.mail import fetching, reports
from newsletter_svc.mail.fetching import MailboxTrouble
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings, SettingsError, load
from tests.bounced import BOUNCES, block, dsn, vacation
from tests.commands import invoke, succeed
from tests.factories import owe_bulk
from tests.fakes import dovecot
from tests.fakes.dovecot import Dovecot

READERS = ("ada@example.org", "eva@example.org", "ida@example.org")
dovecot_only = pytest.mark.skipif(not Path("/usr/lib/dovecot/pop3").exists(), reason="Dovecot is not installed")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Dovecot]:
    with dovecot.running(authority) as running:
        yield running


@pytest.fixture
def bounces(parts: Parts, database: Database) -> list[bytes]:
    """A hard bounce of a digest's mail to each reader."""
    with database.transaction() as session:
        owe_bulk(session, *READERS, now=utcnow())
        ids = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
    senders = [envelope.sender_for(each, bounce_address=BOUNCES, default="", keyring=parts.keyring) for each in ids]
    return [dsn(block(status="5.1.1"), to=sender) for sender in senders]


def suppressed(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Suppression.email_key).order_by(Suppression.email_key)))


def taking(parts: Parts, messages: Iterator[fetching.Fetched]) -> Iterator[Taken]:
    return returned_mailbox.take_all(
        messages, database=parts.database, keyring=parts.keyring, complained=parts.complained
    )


def take_two_and_end(parts: Parts, mailbox: Mailbox, trusting: ssl.SSLContext) -> None:
    with fetching.opened(mailbox, limit=reports.LIMIT, context=trusting) as messages:
        assert [str(taken.reading.result) for taken in islice(taking(parts, messages), 2)] == ["suppressed"] * 2
        raise KeyboardInterrupt


@pytest.mark.dovecot
@dovecot_only
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_the_command_reads_a_mailbox_once(
    settings: Settings, database: Database, server: Dovecot, bounces: list[bytes], protocol: str
) -> None:
    server.fill(*bounces, vacation(to=BOUNCES), b"\xff\0nonsense\r\n.\r\n" + b"x" * 70_000)
    settings = replace(settings, bounce_mailbox=server.address(protocol))
    said = succeed(invoke(settings, "bounces", "read", "--mailbox"))
    assert said.splitlines()[-1] == "5 read: 2 ignored, 3 suppressed."
    assert suppressed(database) == list(READERS)
    assert server.flags() == (["S"] * 5 if protocol == "imap" else [])
    assert succeed(invoke(settings, "bounces", "read", "--mailbox")).splitlines() == ["0 read."]


@pytest.mark.dovecot
@dovecot_only
@pytest.mark.parametrize("protocol", ["imaps", "pop3s"])
def test_whoever_is_interrupted_loses_nothing_and_changes_nothing_twice(
    parts: Parts, database: Database, server: Dovecot, bounces: list[bytes], trusting: ssl.SSLContext, protocol: str
) -> None:
    server.fill(*bounces)
    mailbox = server.address(protocol)
    with pytest.raises(KeyboardInterrupt):
        take_two_and_end(parts, mailbox, trusting)
    assert suppressed(database) == list(READERS[:2])
    with fetching.opened(mailbox, limit=reports.LIMIT, context=trusting) as messages:
        results = [str(taken.reading.result) for taken in taking(parts, messages)]
    # POP3 deletes at a good end only, so all come again there.
    assert results == (["suppressed"] if protocol == "imaps" else ["repeated", "repeated", "suppressed"])
    assert suppressed(database) == list(READERS)


@pytest.mark.dovecot
@dovecot_only
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_message_that_nothing_can_be_made_of_keeps_none_of_the_others(
    parts: Parts,
    database: Database,
    server: Dovecot,
    bounces: list[bytes],
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = reports.read

    def stumbling(raw: bytes) -> reports.Report:
        return read(raw) if b"stumble" not in raw else read(None)  # type: ignore[arg-type]

    monkeypatch.setattr(returned.reports, "read", stumbling)
    server.fill(b"Subject: stumble\r\n\r\n", *bounces)
    with fetching.opened(server.address(protocol), limit=reports.LIMIT) as messages:
        results = [str(taken.reading.result) for taken in taking(parts, messages)]
    assert results == ["unreadable", "suppressed", "suppressed", "suppressed"]
    assert server.flags() == (["FS", "S", "S", "S"] if protocol == "imap" else ["S"])


@pytest.mark.dovecot
@dovecot_only
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_huge_message_is_cut_off(server: Dovecot, protocol: str) -> None:
    server.fill(
        b"Subject: x\r\n\r\n" + b"y" * 3_000_000 + b"\r\n..\r\n" + b"z\r\n" * 100_000, b"Subject: small\r\n\r\n"
    )
    with fetching.opened(server.address(protocol), limit=1_000) as messages:
        assert [len(each.raw) for each in messages] == [1_000, 18]


@pytest.mark.dovecot
@dovecot_only
@pytest.mark.parametrize("protocol", ["imaps", "pop3s"])
def test_a_wrong_password_or_certificate_is_told_and_never_shown(
    settings: Settings, server: Dovecot, trusting: ssl.SSLContext, protocol: str
) -> None:
    server.fill()
    for mailbox, tls, words in (
        (server.address(protocol, password="not this one"), trusting, "does not let us in"),
        (server.address(protocol), None, "is not believed to be itself"),
    ):
        with pytest.raises(MailboxTrouble, match=words), fetching.opened(mailbox, limit=1, context=tls):
            pass
        setup = Setup(replace(settings, bounce_mailbox=mailbox), Dns(), tls=tls)
        [finding] = mailbox_check.check(setup)
        assert finding.verdict is Verdict.FAILURE
        assert mailbox.password not in str(finding) + repr(mailbox) + repr(setup.settings)
    good = replace(settings, bounce_mailbox=server.address(protocol))
    assert [each.verdict for each in mailbox_check.check(Setup(good, Dns(), tls=trusting))] == [Verdict.GOOD]


# Servers that fail.


@contextmanager
def answering(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server that does this with each connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def greet_and_close(connection: socket.socket) -> None:
    connection.sendall(b"* OK +OK\r\n")


def talk_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def never_end_a_line(connection: socket.socket) -> None:
    try:
        for _ in range(200):
            connection.sendall(b"x" * 64 * 1024)
    except OSError:
        return


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("fault", [hang, greet_and_close, talk_nonsense, never_end_a_line])
def test_a_server_that_fails_is_told_in_words_and_exit_1(
    settings: Settings, protocol: str, fault: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.3)
    with answering(fault) as port:
        mailbox = parse(f"{protocol}://u:secret@127.0.0.1:{port}")
        result = invoke(replace(settings, bounce_mailbox=mailbox), "bounces", "read", "--mailbox")
    assert result.exit_code == 1, result.output
    assert "The mailbox at 127.0.0.1" in result.output
    assert "secret" not in result.output


def test_without_the_setting_the_command_says_so(settings: Settings) -> None:
    result = invoke(settings, "bounces", "read", "--mailbox")
    assert (result.exit_code, "BOUNCE_MAILBOX is not set" in result.output) == (2, True)


def test_a_mailbox_is_named_by_its_address() -> None:
    assert parse("imaps://a%40b.example:p%2Fw%40@[::1]/Bounces%20here") == Mailbox(
        protocol="imaps", host="::1", port=993, user="a@b.example", password="p/w@", folder="Bounces here"
    )
    assert parse("pop3s://u:p@mail.example.org").port == 995


@pytest.mark.parametrize(
    "address",
    [
        "https://u:secret@mail.example.org/",
        "imap://u:secret@mail.example.org/",
        "pop3://u:secret@192.0.2.1/",
        "pop3s://u:secret@mail.example.org/INBOX",
        "imaps://u@mail.example.org/",
        "imaps://:secret@mail.example.org/",
        "imaps://u:secret@mail.example.org:secret/",
        "imaps://u:secret%0d%0aA1 LOGOUT@mail.example.org/",
        "imaps://u:secret@mail.example.org/a%0ab",
        "imaps://u%20x:secret@mail.example.org/",
        "imaps://u:secret@mail.example.org/INBOX#secret",
    ],
)
def test_an_address_that_names_no_mailbox_stops_the_start_without_being_repeated(address: str) -> None:
    with pytest.raises(BadMailbox):
        parse(address)
    with pytest.raises(SettingsError) as refused:
        load({"BOUNCE_MAILBOX": address, "SECRET_KEYS": "k" * 40})
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["BOUNCE_MAILBOX"]
    assert "secret" not in str(refused.value)
