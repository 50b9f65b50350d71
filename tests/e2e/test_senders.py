"""One sender beside the web processes: what is owed goes out once, whoever else sends and whatever is killed."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.parts import Parts
from tests.conftest import KEY
from tests.e2e.house import inside
from tests.e2e.service import Service, free_port, running, wait_until
from tests.factories import owe_issue
from tests.fakes.smtp import Received, Sink
from tests.faults.issues import add_readers
from tests.faults.processes import descendants
from tests.wire import check_wire

READERS = 500
FEWER = 200
"""For what is not stopped in the middle: still several batches for each of two senders."""
ROUNDS = 10

Start = Callable[[], AbstractContextManager[Service]]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(database_url: str, sink: Sink, port: int, tmp_path: Path) -> Start:
    """Start the service: two workers, and the sender beside them."""
    environ = {
        "DATABASE_URL": database_url,
        "SECRET_KEYS": KEY,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(sink.port),
    }
    return lambda: running(tmp_path, port, **environ)


@pytest.fixture
def service(start: Start) -> Iterator[Service]:
    """A service of this test's own, since it does not outlive it unharmed."""
    with start() as service:
        yield service


@pytest.fixture
def parts(database_url: str, port: int, tmp_path: Path) -> Iterator[Parts]:
    with inside(database_url, port, tmp_path) as parts:
        yield parts


def owe_an_issue(parts: Parts, title: str, *, readers: int = READERS) -> None:
    """Make an issue with one article; every one of so many readers is owed a copy from now on."""
    assert owe_issue(parts, title).recipients == readers


def statuses(parts: Parts) -> Counter[Status]:
    with parts.database.reading() as session:
        return Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))


def wait_until_sent(parts: Parts, count: int) -> None:
    wait_until(lambda: statuses(parts)[Status.SENT] == count, f"{count} mails are sent", seconds=60)


def settled(parts: Parts) -> int:
    """How many deliveries are sent, or known to be unknown: those that were in flight at a kill."""
    counts = statuses(parts)
    return counts[Status.SENT] + counts[Status.UNKNOWN]


def message_ids(mails: list[Received]) -> list[str]:
    return [mail.headers["Message-ID"] for mail in mails]


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

    def has_seen(self, process_ids: Collection[int]) -> bool:
        """Whether a sender of these had deliveries in hand: its id stands in the name of each claim."""
        return any(int(name.split(".")[-2]) in process_ids for name in self._names)

    def _watch(self) -> None:
        claimed = select(Delivery.claimed_by).where(Delivery.status == Status.CLAIMED).distinct()
        while not self._over.wait(0.02):
            with self._database.reading() as session:
                self._names |= {name for name in session.scalars(claimed) if name}


def test_two_senders_share_ten_rounds_and_every_mail_goes_out_once(service: Service, parts: Parts, sink: Sink) -> None:
    add_readers(parts, FEWER)
    [sender] = service.sender_ids()
    with Watcher(parts) as watcher, service.worker() as worker:
        for number in range(1, ROUNDS + 1):
            owe_an_issue(parts, f"Round {number}", readers=FEWER)
            wait_until_sent(parts, number * FEWER)
            mails = sink.received[(number - 1) * FEWER :]
            assert len(mails) == FEWER
            assert Counter(mail.recipients[0] for mail in mails).most_common(1)[0][1] == 1
            assert {mail.headers["Subject"] for mail in mails} == {mails[0].headers["Subject"]}
        of_service, of_worker = descendants(sender), descendants(worker)
    assert watcher.has_seen(of_service)
    assert watcher.has_seen(of_worker)
    assert sorted(message_ids(sink.received)) == sorted(owed_message_ids(parts))
    check_wire(sink.received[-1].raw)


@pytest.mark.parametrize("victim", ["sender", "keeper"])
def test_a_killed_sender_or_its_worker_is_replaced_by_one_sender_that_sends_the_rest(
    service: Service, parts: Parts, sink: Sink, victim: str
) -> None:
    add_readers(parts, READERS)
    [before], keeper = service.sender_ids(), service.keeper_id()
    owe_an_issue(parts, "Kill the messenger")
    sink.wait_for(READERS // 10, seconds=30)
    os.kill(before if victim == "sender" else keeper, signal.SIGKILL)
    wait_until(lambda: len(service.sender_ids() - {before}) == 1, "another sender runs")
    wait_until(lambda: before not in service.sender_ids(), "the sender before has ended")
    wait_until(lambda: settled(parts) == READERS, "everything is settled", seconds=60)
    assert len(service.sender_ids()) == 1
    assert len(service.worker_ids()) == 2
    with parts.database.reading() as session:
        unknown = set(session.scalars(select(Delivery.message_id).where(Delivery.status == Status.UNKNOWN)))
    assert owed_message_ids(parts) - set(message_ids(sink.received)) <= unknown
    assert max(Counter(message_ids(sink.received)).values()) == 1


def test_no_sender_outlives_a_service_that_is_killed_at_its_head(start: Start, parts: Parts, sink: Sink) -> None:
    with start() as service:
        assert len(service.sender_ids()) == 1
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not service.sender_ids(), "the sender has ended")
    add_readers(parts, FEWER)
    with start() as service:
        owe_an_issue(parts, "Back again", readers=FEWER)
        wait_until_sent(parts, FEWER)
        assert len(service.sender_ids()) == 1


def test_ending_the_service_ends_its_sender(start: Start) -> None:
    with start() as service:
        assert len(service.sender_ids()) == 1
        assert service.stop() == 0
        assert service.sender_ids() == set()


def test_ending_the_service_in_the_middle_neither_loses_nor_doubles_a_mail(
    start: Start, parts: Parts, sink: Sink
) -> None:
    add_readers(parts, READERS)
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
