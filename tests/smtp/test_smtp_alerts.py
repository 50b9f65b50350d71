"""A mail server that refuses us: the operator hears of it, by mail as soon as mail goes out again."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import ask_for_link
from tests.fakes.smtp import Sink


@pytest.fixture
def service(sink: Sink, settings: Settings) -> Iterator[Parts]:
    server = {"mail_server": "127.0.0.1", "mail_port": sink.port, "mail_timeout": 2}
    app = create_app(replace(settings, operator_address="operator@example.org", **server))
    yield app.extensions[EXTENSION]
    app.extensions[EXTENSION].database.dispose()


def test_a_refused_sender_is_an_alert_that_is_mailed_once_mail_goes_out_again(sink: Sink, service: Parts) -> None:
    sink.answer("mail", "530 5.7.0 sign in first")
    ask_for_link(service, "ada@example.org")
    for _ in range(2):
        assert service.sender.run_round().handled == 0

    with service.database.reading() as session:
        (alert,) = alerts.current(session, now=utcnow())
    assert (alert.cause, alert.count) == (Cause.SENDER_REFUSED, 2)

    sink.behave()
    threads = SenderThreads(service.sender, service.bulk)
    threads.start()
    try:
        received = sink.wait_for(2)
    finally:
        assert threads.stop()
    assert {str(mail.message["To"]) for mail in received} == {"ada@example.org", "operator@example.org"}
    (told,) = [mail for mail in received if mail.message["To"] == "operator@example.org"]
    assert "530 5.7.0" in told.part("plain")
