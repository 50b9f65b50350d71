"""Two workers with a sender each: what is owed goes out once, also when the service is ended in the middle."""

import re
import threading
from collections import Counter

import pytest
from sqlalchemy import func, select

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import Press
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from tests.e2e.conftest import Start
from tests.e2e.service import Service, wait_until
from tests.factories import make_articles, make_reader
from tests.fakes.smtp import Received, Sink
from tests.wire import check_wire

READERS = 500
ROUNDS = 10

pytestmark = pytest.mark.usefixtures("readers")


@pytest.fixture
def readers(parts: Parts) -> None:
    with parts.database.transaction() as session:
        for number in range(READERS):
            make_reader(session, f"reader-{number}@example.org", now=utcnow())


def owe_an_issue(parts: Parts, title: str) -> None:
    """Make an issue with one article; every reader is owed a copy from now on."""
    with parts.database.transaction() as session:
        make_articles(session, title, now=utcnow())
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        press = Press(parts.composer, parts.message_domain)
        run = runs.send_now(session, newsletter, tz="Europe/London", press=press, now=utcnow())
    assert run.recipients == READERS


def statuses(parts: Parts) -> Counter[Status]:
    with parts.database.reading() as session:
        return Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))


def wait_until_sent(parts: Parts, count: int) -> None:
    wait_until(lambda: statuses(parts)[Status.SENT] == count, f"{count} mails are sent", seconds=60)


def message_ids(mails: list[Received]) -> list[str]:
    return [mail.message["Message-ID"] for mail in mails]


def owed_message_ids(parts: Parts) -> set[str]:
    with parts.database.reading() as session:
        return set(session.scalars(select(Delivery.message_id)))


class Watcher:
    """Writes down who has claimed deliveries, while it is open."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._names: set[str] = set()

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def has_seen(self, process_id: int) -> bool:
        """Whether a sender of this process had deliveries in hand: its id stands in the name of each claim."""
        return any(re.search(rf"\b{process_id}\b", name) for name in self._names)

    def _watch(self) -> None:
        claimed = select(Delivery.claimed_by).where(Delivery.status == Status.CLAIMED).distinct()
        while not self._over.wait(0.02):
            with self._database.reading() as session:
                self._names |= {name for name in session.scalars(claimed) if name}


def test_two_senders_share_ten_rounds_and_every_mail_goes_out_once(service: Service, parts: Parts, sink: Sink) -> None:
    workers = service.worker_ids()
    assert len(workers) == 2
    with Watcher(parts) as watcher:
        for number in range(1, ROUNDS + 1):
            owe_an_issue(parts, f"Round {number}")
            wait_until_sent(parts, number * READERS)
            mails = sink.received[(number - 1) * READERS :]
            assert len(mails) == READERS
            assert Counter(mail.recipients[0] for mail in mails).most_common(1)[0][1] == 1
            assert {mail.message["Subject"] for mail in mails} == {mails[0].message["Subject"]}
    assert [watcher.has_seen(worker) for worker in workers] == [True, True]
    assert sorted(message_ids(sink.received)) == sorted(owed_message_ids(parts))
    check_wire(sink.received[-1].raw)


def test_ending_the_service_in_the_middle_neither_loses_nor_doubles_a_mail(
    start: Start, parts: Parts, sink: Sink
) -> None:
    with start() as service:
        owe_an_issue(parts, "Stop the press")
        sink.wait_for(READERS // 10, seconds=30)
        assert service.stop() == 0
    sent = len(sink.received)
    assert READERS // 10 <= sent < READERS
    assert statuses(parts) == {Status.SENT: sent, Status.PENDING: READERS - sent}
    with start():
        wait_until_sent(parts, READERS)
    assert sorted(message_ids(sink.received)) == sorted(owed_message_ids(parts))
