"""A sender that sleeps is woken by whoever owes a mail on this machine."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from newsletter_svc.app import create_app
from newsletter_svc.jobs import threads as sender_threads
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import ask_for_link
from tests.fakes.smtp import Sink


@pytest.fixture
def service(settings: Settings, sink: Sink) -> Iterator[Parts]:
    """A service that sends to the sink."""
    by_smtp = replace(settings, mail_server="127.0.0.1", mail_port=sink.port)
    parts: Parts = create_app(by_smtp).extensions[EXTENSION]
    yield parts
    parts.database.dispose()


def test_mail_that_another_process_owes_does_not_wait_for_the_poll(
    service: Parts, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_threads, "POLL_SECONDS", 600.0)
    threads = SenderThreads(service.sender, service.bulk)
    threads.start()
    try:
        for number in range(1, 4):
            ask_for_link(service, f"reader-{number}@example.org")
            service.wake()  # All that a web process or a command does: it knows nothing of these threads.
            sink.wait_for(number)
    finally:
        assert threads.stop()
