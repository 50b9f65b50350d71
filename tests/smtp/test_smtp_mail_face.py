"""Flask-Mail's face over a real server: what the application hands in arrives, and is seen by who records it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask_mail import Message

from newsletter_svc.clock import utcnow
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import PermanentRefusal
from newsletter_svc.mail.flask_face import Mail, open_mail
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.settings import Settings
from tests.fakes.smtp import Sink
from tests.wire import check_transactional, check_wire

LINK = "https://news.example.org/magic-link/" + "x" * 120


@pytest.fixture
def settings(sink: Sink, tmp_path: Path) -> Settings:
    return Settings(
        secret_keys=("k" * 40,),
        var_dir=tmp_path,
        mail_server=sink.host,
        mail_port=sink.port,
        mail_timeout=5,
        mail_default_sender="briefing@news.example.org",
        mail_transactional_sender="signin@news.example.org",
    )


@pytest.fixture
def app() -> Flask:
    return Flask("test")


@pytest.fixture
def mail(app: Flask, settings: Settings) -> Mail:
    return open_mail(app, settings)


def test_a_sign_in_mail_arrives_whole(sink: Sink, mail: Mail, settings: Settings) -> None:
    composer = Composer(settings)
    context = {"name": "Žofie “Z”", "link": LINK, "code": "049302", "minutes": 20,
               "asked_from": "Firefox", "asked_at": utcnow()}  # fmt: skip
    letter = Letter(Mailbox("zofie@bücher.example", "Žofie"), composer.render("sign_in", context), Stream.TRANSACTIONAL)
    message = composer.finish(
        letter,
        message_id="<d1@news.example.org>",
        date=datetime(2026, 11, 24, 7, tzinfo=UTC),
        envelope_sender="bounces+1@news.example.org",
    )
    with mail.record_messages() as outbox, mail.connect() as connection:
        reply = connection.send(message)
    [received] = sink.wait_for(1)
    check_wire(received.raw)
    check_transactional(received.raw)
    assert received.recipients == ("zofie@xn--bcher-kva.example",)
    assert received.envelope_sender == "bounces+1@news.example.org"
    assert received.message["Subject"] == "049302 is your code to sign in to The Global Diplomat"
    assert f"\n{LINK}\n" in received.part("plain")
    assert "Hello Žofie “Z”," in received.part("html")
    assert reply == received.answer
    assert [seen.subject for seen in outbox] == [received.message["Subject"]]


def test_what_the_server_refused_is_not_recorded_as_sent(sink: Sink, app: Flask, mail: Mail) -> None:
    sink.answer("rcpt", "550 5.1.1 no such user")
    with app.app_context(), mail.record_messages() as outbox, pytest.raises(PermanentRefusal):
        mail.send(Message("s", recipients=["ada@example.org"], body="t"))
    assert outbox == []


def test_an_application_may_send_mail_of_its_own(sink: Sink, app: Flask, mail: Mail) -> None:
    with app.app_context():
        mail.send_message("Přehled", recipients=["ada@example.org"], body="£5 " * 400, html="<p>" + "£5 " * 400)
    [received] = sink.wait_for(1)
    check_wire(received.raw)
    assert received.part("plain").split() == ["£5"] * 400
    assert received.message["From"] == "briefing@news.example.org"
