"""The face that applications know, and the local mailbox."""

import stat
from pathlib import Path

import pytest
from flask import Flask
from flask_mail import Message, email_dispatched

from newsletter_svc.mail.failures import ServerUnavailable
from newsletter_svc.mail.flask_face import Mail, open_mail
from newsletter_svc.mail.mailbox import MailboxTransport
from newsletter_svc.mail.message import OutgoingMessage, UnsendableMessage
from newsletter_svc.mail.smtp import SmtpTransport
from newsletter_svc.mail.smtp_server import Security
from newsletter_svc.mail.transport import NoMailServer, choose_transport, smtp_server
from newsletter_svc.settings import Settings
from tests.wire import check_wire

KEYS = ("k" * 40,)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(secret_keys=KEYS, var_dir=tmp_path, mail_default_sender="briefing@news.example.org")


@pytest.fixture
def app() -> Flask:
    return Flask("test")


def outgoing(subject: str = "Good morning") -> OutgoingMessage:
    content = f"Subject: {subject}\r\nFrom: a@b.example\r\nTo: ada@example.org\r\n\r\nText\r\n".encode()
    return OutgoingMessage("a@b.example", "ada@example.org", "<1@b.example>", content)


def kept(settings: Settings) -> list[Path]:
    assert settings.mailbox_dir is not None
    return sorted(settings.mailbox_dir.iterdir())


def test_without_a_mail_server_development_keeps_mail_in_files(settings: Settings) -> None:
    with choose_transport(settings).connect() as mailbox:
        reply = mailbox.send(outgoing("First"))
        mailbox.send(outgoing("Second"))
    first, second = kept(settings)
    assert (first.suffix, first.read_bytes()) == (".eml", outgoing("First").content)
    assert second.read_bytes() == outgoing("Second").content
    assert reply == f"250 2.0.0 kept as {first.name}"


def test_nobody_else_on_the_machine_can_read_the_mailbox(settings: Settings) -> None:
    with choose_transport(settings).connect() as mailbox:
        mailbox.send(outgoing())
    [mail] = kept(settings)
    assert stat.S_IMODE(mail.stat().st_mode) == 0o600
    assert stat.S_IMODE(mail.parent.stat().st_mode) == 0o700


def test_a_mailbox_that_cannot_be_written_is_an_unavailable_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerUnavailable), MailboxTransport(tmp_path / "file" / "mailbox").connect():
        pass


def test_production_never_gets_the_mailbox(tmp_path: Path) -> None:
    with pytest.raises(NoMailServer):
        choose_transport(Settings(secret_keys=KEYS, var_dir=tmp_path, env="production"))


@pytest.mark.parametrize(
    ("changes", "security"),
    [({}, Security.NONE), ({"mail_use_tls": True}, Security.STARTTLS), ({"mail_use_ssl": True}, Security.IMPLICIT)],
)
def test_a_mail_server_is_spoken_to_as_the_settings_say(changes: dict[str, bool], security: Security) -> None:
    settings = Settings(secret_keys=KEYS, mail_server="mx.example", mail_port=2525, mail_timeout=7, **changes)  # type: ignore[arg-type]
    assert isinstance(choose_transport(settings), SmtpTransport)
    server = smtp_server(settings)
    assert (server.host, server.port, server.security, server.timeout) == ("mx.example", 2525, security, 7)


@pytest.mark.parametrize(
    ("public_url", "helo"),
    [
        ("https://news.example.org", "news.example.org"),
        ("http://127.0.0.1:8000", "[127.0.0.1]"),
        ("http://[::1]:8000", "[IPv6:::1]"),
        ("http://bücher.example", "localhost"),
    ],
)
def test_we_introduce_ourselves_by_the_public_name(public_url: str, helo: str) -> None:
    assert smtp_server(Settings(secret_keys=KEYS, mail_server="mx.example", public_url=public_url)).helo == helo


def test_flask_mail_knows_the_settings(app: Flask, settings: Settings) -> None:
    mail = open_mail(app, settings)
    assert app.extensions["mail"].default_sender == "briefing@news.example.org"
    assert app.config["MAIL_PORT"] == 25
    assert isinstance(mail, Mail)


def test_no_way_through_flask_mail_goes_around_our_transport(app: Flask, settings: Settings) -> None:
    open_mail(app, settings)
    with app.app_context():
        app.extensions["mail"].send(Message("Přehled", recipients=["ada@example.org"], body="£5", html="<p>£5"))
    [mail] = kept(settings)
    check_wire(mail.read_bytes())


def test_record_messages_shows_what_the_service_sends(app: Flask, settings: Settings) -> None:
    mail = open_mail(app, settings)
    with mail.record_messages() as outbox, mail.connect() as connection:
        connection.send(outgoing())
    [message] = outbox
    assert (message.subject, message.recipients, message.msgId) == (
        "Good morning",
        ["ada@example.org"],
        "<1@b.example>",
    )
    assert message.body == "Text\r\n"
    assert len(kept(settings)) == 1


def test_a_listener_that_fails_does_not_undo_a_mail_that_is_out(app: Flask, settings: Settings) -> None:
    def fail(app: Flask, message: Message) -> None:
        raise RuntimeError("listener")

    mail = open_mail(app, settings)
    with email_dispatched.connected_to(fail), mail.connect() as connection:
        assert connection.send(outgoing()).startswith("250")


def test_a_message_of_flask_mail_goes_out_in_our_bytes_to_each_reader(app: Flask, settings: Settings) -> None:
    mail = open_mail(app, settings)
    with app.app_context(), mail.record_messages() as outbox:
        message = Message(
            "Přehled", recipients=["ada@example.org", ("Bob", "bob@example.org")], body="£5", html="<p>£5"
        )
        mail.send(message)
    assert outbox == [message]
    raws = [path.read_bytes() for path in kept(settings)]
    for raw in raws:
        check_wire(raw)
    assert {raw.split(b"\r\nTo: ")[1].split(b"\r\n")[0] for raw in raws} == {
        b"ada@example.org",
        b"Bob <bob@example.org>",
    }


def test_flask_mails_extra_headers_inject_nothing(app: Flask, settings: Settings) -> None:
    mail = open_mail(app, settings)
    with app.app_context():
        message = Message(
            "s", recipients=["ada@example.org"], body="t", extra_headers={"X-A": "b\r\nBcc: eve@example.org"}
        )
        with pytest.raises(UnsendableMessage):
            mail.send(message)
        with pytest.raises(UnsendableMessage):
            mail.send(Message("s", recipients=["ada@example.org"], bcc=["eve@example.org"], body="t"))
    assert kept(settings) == []


def test_mail_can_be_suppressed_as_flask_mails_manual_says(app: Flask, settings: Settings) -> None:
    app.config["MAIL_SUPPRESS_SEND"] = True
    mail = open_mail(app, settings)
    with mail.record_messages() as outbox, mail.connect() as connection:
        connection.send(outgoing())
    assert len(outbox) == 1
    assert settings.mailbox_dir is not None
    assert not settings.mailbox_dir.exists()
