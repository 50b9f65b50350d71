"""Connections between two mails: the next mail goes over one that waits, and a closed one costs nothing."""

import pytest

from newsletter_svc.mail import idle
from newsletter_svc.mail.failures import ServerUnavailable, TransientRefusal
from newsletter_svc.mail.smtp import SmtpTransport
from tests.e2e.service import wait_until
from tests.fakes.smtp import Sink
from tests.smtp.test_smtp_transport import mail_to, transport_to


@pytest.fixture
def transport(sink: Sink) -> SmtpTransport:
    return transport_to(sink)


def send(transport: SmtpTransport, address: str = "ada@example.org") -> None:
    with transport.connect() as connection:
        connection.send(mail_to(address))


def is_closed(sink: Sink, number: int) -> bool:
    return sink.transports[number].is_closing()


def test_the_next_mail_goes_over_the_connection_of_the_one_before(sink: Sink, transport: SmtpTransport) -> None:
    for _ in range(3):
        send(transport)
    assert len(sink.wait_for(3)) == 3
    assert sink.connections == 1


def test_two_mails_at_once_have_a_connection_each_and_both_wait_afterwards(
    sink: Sink, transport: SmtpTransport
) -> None:
    for _ in range(2):
        with transport.connect() as first, transport.connect() as second:
            first.send(mail_to("ada@example.org"))
            second.send(mail_to("bob@example.org"))
    assert len(sink.wait_for(4)) == 4
    assert sink.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_costs_nothing(sink: Sink, transport: SmtpTransport) -> None:
    send(transport)
    sink.hang_up()
    send(transport)
    assert len(sink.wait_for(2)) == 2
    assert sink.connections == 2


def test_a_server_that_is_gone_meanwhile_is_unavailable(transport: SmtpTransport) -> None:
    with Sink() as other:
        gone = transport_to(other)
        send(gone)
    with pytest.raises(ServerUnavailable):
        send(gone)


def test_after_a_refusal_of_one_mail_the_connection_serves_the_next(sink: Sink, transport: SmtpTransport) -> None:
    sink.answer("rcpt", "450 4.2.0 later", recipient="ada@example.org")
    with transport.connect() as connection, pytest.raises(TransientRefusal):
        connection.send(mail_to("ada@example.org"))
    send(transport, "bob@example.org")
    assert [mail.recipients for mail in sink.wait_for(1)] == [("bob@example.org",)]
    assert sink.connections == 1


def test_a_connection_is_closed_when_its_mail_ends_in_an_error(sink: Sink, transport: SmtpTransport) -> None:
    def fail_after_sending() -> None:
        with transport.connect() as connection:
            connection.send(mail_to("ada@example.org"))
            raise LookupError

    with pytest.raises(LookupError):
        fail_after_sending()
    wait_until(lambda: is_closed(sink, 0), "the connection is closed")
    send(transport)
    assert sink.connections == 2


def test_a_connection_that_carried_nothing_is_closed(sink: Sink, transport: SmtpTransport) -> None:
    with transport.connect():
        pass
    wait_until(lambda: is_closed(sink, 0), "the connection is closed")


def test_a_connection_that_nobody_takes_is_closed_with_a_quit(
    sink: Sink, transport: SmtpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.05)
    for number in range(2):
        send(transport)
        wait_until(lambda number=number: is_closed(sink, number), "the connection is closed")
    assert sink.connections == 2
    assert sink.commands.count("QUIT") == 2
