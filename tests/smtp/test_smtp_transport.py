"""One SMTP connection: what arrives, and what every fault of a server is called."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trustme

from newsletter_svc.mail import mime
from newsletter_svc.mail.failures import (
    DeliveryError,
    OutcomeUnknown,
    PermanentRefusal,
    SenderRefused,
    ServerUnavailable,
    Stage,
    TransientRefusal,
)
from newsletter_svc.mail.message import Mailbox, OutgoingMessage, Rendered
from newsletter_svc.mail.smtp import SmtpTransport
from newsletter_svc.mail.smtp_server import Security, SmtpServer
from tests.fakes.smtp import Do, Sink
from tests.wire import check_wire

SENDER = "bounces+1@news.example.org"


def mail_to(email: str, text: str = "Good morning.\n.a line with a dot\nFrom here on\n") -> OutgoingMessage:
    message_id = f"<{email.replace('@', '.')}@news.example.org>"
    content = mime.build(
        Rendered("Přehled – “today”", text, "<p>Good morning, £5</p>"),
        sender=Mailbox("briefing@news.example.org", "The Global Diplomat"),
        recipient=Mailbox(email, "Žofie"),
        message_id=message_id,
        date=datetime(2026, 11, 24, 7, tzinfo=UTC),
    )
    return OutgoingMessage(SENDER, email, message_id, content)


def transport_to(sink: Sink, **changes: object) -> SmtpTransport:
    given = {"host": "127.0.0.1", "port": sink.port, "helo": "news.example.org", "timeout": 5.0, **changes}
    return SmtpTransport(SmtpServer(**given))  # type: ignore[arg-type]


def send(sink: Sink, message: OutgoingMessage, **changes: object) -> str:
    with transport_to(sink, **changes).connect() as connection:
        return connection.send(message)


def test_the_bytes_arrive_as_they_were_made(sink: Sink) -> None:
    message = mail_to("ada@example.org")
    reply = send(sink, message)
    [mail] = sink.wait_for(1)
    assert mail.raw == message.content
    check_wire(mail.raw)
    assert mail.part("plain") == "Good morning.\n.a line with a dot\nFrom here on\n"
    assert reply == mail.answer


def test_the_envelope_is_the_messages_own_and_the_size_is_announced(sink: Sink) -> None:
    message = mail_to("ada@example.org")
    send(sink, message)
    [mail] = sink.wait_for(1)
    assert (mail.envelope_sender, mail.recipients) == (SENDER, ("ada@example.org",))
    assert mail.mail_options == (f"SIZE={len(message.content)}",)


def test_the_server_hears_our_public_name(sink: Sink) -> None:
    send(sink, mail_to("ada@example.org"))
    assert sink.commands[0] == "EHLO news.example.org"


def test_one_connection_carries_many_messages(sink: Sink) -> None:
    with transport_to(sink).connect() as connection:
        for number in range(5):
            connection.send(mail_to(f"reader{number}@example.org"))
    assert len(sink.wait_for(5)) == 5
    assert sink.connections == 1


@pytest.mark.parametrize("stage", ["rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("answer", "failure", "enhanced"),
    [
        ("450 4.2.0 greylisted, try later", TransientRefusal, "4.2.0"),
        ("451 local trouble", TransientRefusal, None),
        ("550 5.1.1 no such user", PermanentRefusal, "5.1.1"),
        ("552 5.3.4 too big", PermanentRefusal, "5.3.4"),
        ("530 5.7.0 sign in first", SenderRefused, "5.7.0"),
    ],
)
def test_a_refusal_speaks_of_one_message_and_the_next_follows_on_the_same_connection(
    sink: Sink, stage: str, answer: str, failure: type[DeliveryError], enhanced: str | None
) -> None:
    sink.answer(stage, answer, recipient="bob@example.org")
    with transport_to(sink).connect() as connection:
        with pytest.raises(failure) as caught:
            connection.send(mail_to("bob@example.org"))
        connection.send(mail_to("ada@example.org"))
    assert (caught.value.stage, caught.value.code) == (Stage(stage), int(answer[:3]))
    assert caught.value.enhanced == enhanced
    assert caught.value.text == answer
    assert sink.connections == 1
    assert sink.wait_for(1)[-1].recipients == ("ada@example.org",)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("450 4.7.1 slow down", ServerUnavailable),
        ("550 5.7.1 sender not allowed", SenderRefused),
        ("530 5.7.0 sign in first", SenderRefused),
        ("552 5.3.4 too big", PermanentRefusal),
    ],
)
def test_a_refusal_at_mail_says_nothing_about_the_reader(sink: Sink, answer: str, failure: type[DeliveryError]) -> None:
    sink.answer("mail", answer)
    with pytest.raises(failure) as caught:
        send(sink, mail_to("ada@example.org"))
    assert caught.value.stage is Stage.MAIL


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_421_anywhere_means_that_the_server_is_gone(sink: Sink, stage: str) -> None:
    sink.answer(stage, "421 4.3.2 shutting down")
    with pytest.raises(ServerUnavailable):
        send(sink, mail_to("ada@example.org"))


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data"])
@pytest.mark.parametrize("fault", [Do.CLOSE, Do.HANG, "this is no reply"])
def test_silence_and_nonsense_before_the_dot_are_the_servers_fault(sink: Sink, stage: str, fault: str | Do) -> None:
    sink.answer(stage, fault)
    with pytest.raises(ServerUnavailable):
        send(sink, mail_to("ada@example.org"), timeout=0.3)
    assert sink.received == []


@pytest.mark.parametrize("fault", [Do.CLOSE, Do.HANG, "not a reply", "354 go on"])
def test_without_a_clear_reply_to_the_dot_the_outcome_is_unknown(sink: Sink, fault: str | Do) -> None:
    sink.answer("dot", fault)
    with pytest.raises(OutcomeUnknown) as caught:
        send(sink, mail_to("ada@example.org"), timeout=0.3)
    assert caught.value.stage is Stage.DOT
    assert len(sink.wait_for(1)) == 1


def test_after_an_unknown_outcome_the_next_message_goes_on_a_new_connection(sink: Sink) -> None:
    sink.answer("dot", Do.CLOSE, recipient="bob@example.org")
    with transport_to(sink).connect() as connection:
        with pytest.raises(OutcomeUnknown):
            connection.send(mail_to("bob@example.org"))
        connection.send(mail_to("ada@example.org"))
    assert [mail.recipients[0] for mail in sink.wait_for(2)] == ["bob@example.org", "ada@example.org"]
    assert sink.connections == 2


def test_a_server_that_hangs_up_after_every_second_message_loses_none() -> None:
    readers = [f"reader{number}@example.org" for number in range(7)]
    with Sink(close_after=2) as sink:
        with transport_to(sink).connect() as connection:
            for reader in readers:
                connection.send(mail_to(reader))
        assert [mail.recipients[0] for mail in sink.wait_for(7)] == readers
        assert sink.connections == 4


def test_a_421_at_the_next_mail_is_a_polite_hanging_up(sink: Sink) -> None:
    with transport_to(sink).connect() as connection:
        connection.send(mail_to("ada@example.org"))
        sink.answer("mail", "421 4.7.0 enough for one connection", times=1)
        connection.send(mail_to("bob@example.org"))
    assert len(sink.wait_for(2)) == 2
    assert sink.connections == 2


def test_a_server_that_only_hangs_up_is_asked_twice_and_not_for_ever(sink: Sink) -> None:
    with transport_to(sink).connect() as connection:
        connection.send(mail_to("ada@example.org"))
        sink.answer("mail", Do.CLOSE)
        with pytest.raises(ServerUnavailable):
            connection.send(mail_to("bob@example.org"))
    assert sink.connections == 2


def test_a_server_that_does_not_answer_rset_gets_a_new_connection(sink: Sink) -> None:
    sink.answer("rcpt", "550 5.1.1 no such user", recipient="bob@example.org")
    sink.answer("rset", Do.CLOSE)
    with transport_to(sink).connect() as connection:
        with pytest.raises(PermanentRefusal):
            connection.send(mail_to("bob@example.org"))
        connection.send(mail_to("ada@example.org"))
    assert sink.connections == 2


def test_a_message_beyond_the_servers_size_is_refused_before_it_is_sent() -> None:
    with Sink(size_limit=1_000) as sink:
        with pytest.raises(PermanentRefusal) as caught:
            send(sink, mail_to("ada@example.org", "long " * 1_000))
        assert (caught.value.code, caught.value.enhanced) == (552, "5.3.4")
        assert not any(command.startswith("MAIL") for command in sink.commands)


def test_nobody_listening_is_the_servers_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        pytest.raises(ServerUnavailable) as caught,
        SmtpTransport(SmtpServer(host="127.0.0.1", port=port, helo="news.example.org")).connect(),
    ):
        pass
    assert caught.value.text == "ConnectionRefusedError"


def test_a_name_that_does_not_resolve_is_the_servers_fault() -> None:
    server = SmtpServer(host="mail.invalid", port=25, helo="news.example.org")
    with pytest.raises(ServerUnavailable), SmtpTransport(server).connect():
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_mail_goes_over_tls_where_the_certificate_is_good(
    security: Security, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Sink(tls=server_tls, implicit_tls=security is Security.IMPLICIT) as sink:
        send(sink, mail_to("ada@example.org"), security=security, tls=trusting)
        assert len(sink.wait_for(1)) == 1


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_a_bad_certificate_stops_the_mail_and_nothing_goes_in_plain_text(
    security: Security, server_tls: ssl.SSLContext
) -> None:
    with Sink(tls=server_tls, implicit_tls=security is Security.IMPLICIT) as sink:
        with pytest.raises(ServerUnavailable) as caught:
            send(sink, mail_to("ada@example.org"), security=security)
        assert caught.value.text == "SSLCertVerificationError"
        assert not any(command.startswith("MAIL") for command in sink.commands)


def test_a_server_without_starttls_gets_no_plain_text_instead(sink: Sink) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        send(sink, mail_to("ada@example.org"), security=Security.STARTTLS)
    assert caught.value.stage is Stage.TLS
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_signing_in_works_and_a_wrong_password_stops_the_batch() -> None:
    with Sink(credentials=("news", "right-password")) as sink:
        send(sink, mail_to("ada@example.org"), username="news", password="right-password")
        with pytest.raises(SenderRefused) as caught:
            send(sink, mail_to("ada@example.org"), username="news", password="wrong-password")
        assert caught.value.code == 535
        assert len(sink.received) == 1


@pytest.mark.parametrize("password", ["pässwörd", "wrong-password"])
def test_no_failure_shows_a_password(password: str) -> None:
    with Sink(credentials=("news", "right-password")) as sink, pytest.raises(SenderRefused) as caught:
        send(sink, mail_to("ada@example.org"), username="news", password=password)
    assert password not in str(caught.value) + caught.value.text
    assert password not in repr(SmtpServer(host="h", port=25, helo="h", password=password))


@pytest.mark.parametrize(
    "answer",
    [
        "550 5.1.1 <bob@example.org>: user unknown",
        "550-5.1.1 BOB@EXAMPLE.ORG is not here\r\n550 5.1.1 ask postmaster@example.org",
    ],
)
def test_no_failure_shows_an_address(sink: Sink, answer: str) -> None:
    sink.answer("rcpt", answer)
    with pytest.raises(PermanentRefusal) as caught:
        send(sink, mail_to("bob@example.org"))
    assert "@" not in str(caught.value) + caught.value.text
    assert caught.value.enhanced == "5.1.1"


def test_a_server_without_esmtp_is_spoken_to_plainly(sink: Sink) -> None:
    sink.answer("ehlo", "502 5.5.1 what?")
    send(sink, mail_to("ada@example.org"))
    assert sink.wait_for(1)[0].mail_options == ()


@pytest.mark.parametrize("make", [lambda text: text, lambda text: text.replace("\n", "\r\n")])
def test_a_long_text_with_dots_arrives_whole(sink: Sink, make: Callable[[str], str]) -> None:
    text = "".join(f"{'.' * (number % 5)}£ line {number} " + "x" * (number % 90) + "\n" for number in range(500))
    send(sink, mail_to("ada@example.org", make(text)))
    [mail] = sink.wait_for(1)
    check_wire(mail.raw)
    assert mail.part("plain") == text
