"""Workers and a mail server that refuses us: it is left alone for a while, however many hints there are."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from newsletter_svc.app import create_app
from newsletter_svc.jobs.celery_app import make_celery
from newsletter_svc.jobs.duties import Duties
from newsletter_svc.jobs.hints import Hints
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import ask_for_link
from tests.fakes.smtp import Sink


@pytest.fixture
def service(sink: Sink, settings: Settings) -> Iterator[Parts]:
    app = create_app(replace(settings, mail_server=sink.host, mail_port=sink.port, mail_timeout=5))
    yield app.extensions[EXTENSION]
    app.extensions[EXTENSION].database.dispose()


@pytest.fixture
def duties(service: Parts, broker_url: str) -> Iterator[Duties]:
    with make_celery(broker_url) as celery:
        yield Duties(service.sender, service.bulk, service.press, Hints(celery))


def test_hints_do_not_drive_a_node_against_a_server_that_refuses_us(sink: Sink, service: Parts, duties: Duties) -> None:
    sink.answer("mail", "530 5.7.0 sign in first")
    ask_for_link(service, "ada@example.org")
    for _ in range(5):
        duties.send_single()
    assert sink.connections == 1
