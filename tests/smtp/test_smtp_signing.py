"""What a mail server receives when a DKIM key is set: every kind of mail, signed, and whole on the way."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask_mail import Message

from newsletter_svc import alerts, cores
from newsletter_svc.alerts import Cause
from newsletter_svc.app import create_app
from newsletter_svc.auth.models import Door
from newsletter_svc.clock import utcnow
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import ask_for_link, fill, send_now
from tests.fakes.smtp import Sink
from tests.signing import DOMAIN, SELECTOR, is_valid, key_file
from tests.wire import check_wire


@pytest.fixture
def app(sink: Sink, settings: Settings, tmp_path: Path) -> Iterator[Flask]:
    app = create_app(
        replace(
            settings,
            operator_address="operator@example.org",
            mail_server=sink.host,
            mail_port=sink.port,
            mail_timeout=5,
            mail_default_sender=f"briefing@{DOMAIN}",
            mail_transactional_sender="sign-in@door.example",
            dkim_domain=DOMAIN,
            dkim_selector=SELECTOR,
            dkim_private_key_file=key_file(tmp_path),
        )
    )
    yield app
    app.extensions[EXTENSION].database.dispose()


def test_sign_in_mail_confirmations_and_alerts_arrive_signed(sink: Sink, app: Flask) -> None:
    service: Parts = app.extensions[EXTENSION]
    ask_for_link(service, "ada@example.org")
    ask_for_link(service, "žofie@bücher.example".replace("ž", "z"), door=Door.SUBSCRIBE)
    with service.database.transaction() as session:
        alerts.report(session, Cause.SENDER_REFUSED, detail="for this test", now=utcnow())
    threads = SenderThreads(service.sender, service.bulk)
    threads.start()
    try:
        received = sink.wait_for(3)
    finally:
        assert threads.stop()
    assert {mail.message["From"].addresses[0].addr_spec for mail in received} == {"sign-in@door.example"}
    for mail in received:
        assert is_valid(mail.raw)
        check_wire(mail.raw)


@pytest.mark.parametrize("signs_by_itself", [True, False])
def test_each_reader_of_a_digest_gets_it_signed(sink: Sink, app: Flask, signs_by_itself: bool) -> None:
    service: Parts = app.extensions[EXTENSION]
    # A process that has more than one processor to itself has others sign for it.
    processes = cores.usable() if signs_by_itself else 1
    bulk = replace(service.bulk, settings=replace(service.settings, mail_processes=processes))
    fill(service.database, "The quiet budget", "Grüße", readers=40)
    assert send_now(service).recipients == 40
    assert bulk.send_due().handled == 40
    received = sink.wait_for(40)
    assert len({mail.recipients[0] for mail in received}) == 40
    for mail in received:
        assert is_valid(mail.raw)
        assert mail.raw.count(b"DKIM-Signature: ") == 1


def test_mail_of_the_application_itself_arrives_signed(sink: Sink, app: Flask) -> None:
    with app.app_context():
        message = Message("Přehled", recipients=["ada@example.org"], body="Grüße\n.\n\n", html="<p>Grüße</p>")
        message.date = datetime(2026, 11, 24, 7, tzinfo=UTC).timestamp()
        app.extensions["mail"].send(message)
    [received] = sink.wait_for(1)
    assert is_valid(received.raw)
    assert received.raw.startswith(b"DKIM-Signature: ")
    check_wire(received.raw)


def test_whoever_records_messages_sees_them_as_they_were_written(sink: Sink, app: Flask) -> None:
    mail = app.extensions["mail"]
    with app.app_context(), mail.record_messages() as outbox:
        mail.send_message("Hello", recipients=["ada@example.org"], body="Good morning.")
    [received] = sink.wait_for(1)
    assert [(seen.subject, seen.body) for seen in outbox] == [("Hello", "Good morning.")]
    assert "Good morning." in received.part("plain")
