"""Many machines: workers with a broker, PostgreSQL and a disk each, one of them killed in the midst of a digest."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Lane, Status
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import Schedule
from newsletter_svc.digests.content import KIND
from newsletter_svc.jobs.hints import HintThread
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web.state import EXTENSION
from tests.conftest import KEY, POSTGRES
from tests.e2e.machines import RedisServer, Worker, environment, working
from tests.e2e.service import wait_until
from tests.factories import ask_for_link, make_articles, make_reader, owe_issue
from tests.fakes.smtp import Received, Sink
from tests.signing import DOMAIN, SELECTOR, is_valid, key_file

READERS = 2_000
FEWER = 800
CONNECTIONS = 4
PER_SECOND = 300
"""So that a digest takes some seconds on every machine."""

pytestmark = [
    pytest.mark.skipif(POSTGRES is None, reason="needs a PostgreSQL server (TEST_POSTGRES_URL)"),
    pytest.mark.timeout(300),
]

Start = Callable[..., AbstractContextManager[Worker]]


@pytest.fixture
def parts(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Parts]:
    """The service's parts as the web has them: what is owed here is sent by workers."""
    settings = Settings(secret_keys=(KEY,), database_url=database_url, broker_url=broker_url, var_dir=tmp_path / "web")
    found: Parts = create_app(settings).extensions[EXTENSION]
    yield found
    assert isinstance(found.wake, HintThread)
    assert found.wake.flush(30)
    found.wake.close()
    found.database.dispose()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def start(database_url: str, broker_url: str, sink: Sink, tmp_path: Path) -> Start:
    """Start a worker on the machine of that name."""

    def begin(
        machine: str, *options: str, lease_seconds: int = 60, broker: str = broker_url, **more: str
    ) -> AbstractContextManager[Worker]:
        alike = environment(
            database_url,
            broker,
            sink.port,
            SECRET_KEYS=KEY,
            MAIL_CONNECTIONS=str(CONNECTIONS),
            MAIL_MAX_PER_SECOND=str(PER_SECOND),
        )
        own = {"PUBLIC_URL": f"http://{machine}.example.org", "DELIVERY_LEASE_SECONDS": str(lease_seconds)}
        return working(tmp_path / machine, *options, **alike, **own, **{"MAIL_PROCESSES": "1", **more})

    return begin


def ticking_fast(start: Start) -> AbstractContextManager[Worker]:
    """A clock that sweeps every second: as often as leases end, by what it was told."""
    return start("clock", "--beat", lease_seconds=1)


def owe_an_issue(parts: Parts, readers: int = READERS) -> None:
    with parts.database.transaction() as session:
        for number in range(readers):
            make_reader(session, f"reader-{number}@example.org", now=utcnow())
    assert owe_issue(parts, "The midnight edition").recipients == readers
    parts.wake()


def ask_to_sign_in(parts: Parts, email: str) -> None:
    ask_for_link(parts, email)
    parts.wake(Lane.TRANSACTIONAL)


def statuses(parts: Parts) -> Counter[Status]:
    with parts.database.reading() as session:
        of_digests = select(Delivery.status, func.count()).where(Delivery.kind == KIND).group_by(Delivery.status)
        return Counter(dict(session.execute(of_digests).all()))


def wait_until_settled(parts: Parts, readers: int = READERS) -> None:
    """Until every delivery was sent, or is `unknown` and was sent again already."""
    wait_until(lambda: statuses(parts)[Status.SENT] == readers, "every reader's mail was accepted", seconds=120)


def copies(mails: list[Received]) -> Counter[str]:
    """How many mails each reader got."""
    return Counter(mail.recipients[0] for mail in mails if mail.recipients[0].startswith("reader-"))


def machines_that_sent(sink: Sink) -> set[str]:
    return {command.removeprefix("EHLO ").partition(".")[0] for command in sink.commands if command.startswith("EHLO")}


def test_two_machines_share_a_digest_while_sign_in_mail_passes_and_one_is_killed_and_comes_back(
    start: Start, parts: Parts, sink: Sink
) -> None:
    with start("one") as one, start("two") as two, ticking_fast(start):
        wait_until(lambda: one.is_ready and two.is_ready, "both wait for work", seconds=120)
        owe_an_issue(parts)
        sink.wait_for(READERS // 8, seconds=120)
        ask_to_sign_in(parts, "ada@example.net")
        wait_until(lambda: any("ada@example.net" in mail.recipients for mail in sink.received), "Ada has her mail")
        assert sum(copies(sink.received).values()) < READERS, "Ada's mail waited behind the digest"
        wait_until(lambda: {"one", "two"} <= machines_that_sent(sink), "both machines have joined in")
        one.kill()
        assert statuses(parts)[Status.SENT] < READERS, "the digest was out before the kill"
        with start("one") as again:
            wait_until_settled(parts)
            assert again.stop() == 0
        assert two.stop() == 0
    received = copies(sink.received)
    assert len(received) == READERS
    assert sum(received.values()) - READERS <= CONNECTIONS
    print(f"one kill, {CONNECTIONS} connections: {sum(received.values()) - READERS} duplicates, 0 lost")


def test_a_machine_that_is_lost_for_good_loses_no_reader(start: Start, parts: Parts, sink: Sink) -> None:
    with start("one", lease_seconds=3) as one, start("two", lease_seconds=3) as two, ticking_fast(start):
        wait_until(lambda: one.is_ready and two.is_ready, "both wait for work", seconds=120)
        owe_an_issue(parts, FEWER)
        wait_until(lambda: {"one", "two"} <= machines_that_sent(sink), "both machines have joined in", seconds=120)
        one.kill()
        wait_until_settled(parts, FEWER)
        assert two.stop() == 0
    received = copies(sink.received)
    assert len(received) == FEWER
    # What it had claimed and not yet marked; the other machine cannot know what of it went out.
    assert max(received.values()) <= 2
    print(f"a machine lost for good: {sum(received.values()) - FEWER} duplicates, 0 lost")


def test_a_worker_that_ends_lets_what_is_in_flight_end_and_another_goes_on(
    start: Start, parts: Parts, sink: Sink
) -> None:
    with start("one") as one:
        owe_an_issue(parts, FEWER)
        sink.wait_for(FEWER // 8, seconds=120)
        assert one.stop() == 0
    sent = len(sink.received)
    assert sent < FEWER
    assert statuses(parts) == {Status.SENT: sent, Status.PENDING: FEWER - sent}
    with start("two"):
        wait_until_settled(parts, FEWER)
    assert set(copies(sink.received).values()) == {1}
    assert len(sink.received) == FEWER


def test_a_node_that_dies_is_started_again_and_no_process_outlives_its_worker(start: Start) -> None:
    with start("one", MAIL_PROCESSES="2") as one:
        wait_until(lambda: len(one.process_ids()) == 4, "a node for sign-in mail runs, and two for digests")
        leader, *nodes = before = one.process_ids()
        os.kill(nodes[0], signal.SIGKILL)
        wait_until(lambda: len(set(one.process_ids()) - set(before)) == 1, "there is another node")
        last = one.process_ids()
        os.kill(leader, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, last)), "all of its processes have ended", seconds=120)


def is_running(process_id: int) -> bool:
    """Whether it is more than an entry that nobody has fetched yet, which has no command line."""
    try:
        return bool(Path(f"/proc/{process_id}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_clock_makes_an_issue_that_is_due_and_a_worker_signs_and_sends_it(
    start: Start, parts: Parts, sink: Sink, tmp_path: Path
) -> None:
    now = utcnow()
    with parts.database.transaction() as session:
        make_reader(session, "reader-1@example.org", now=now)
        make_articles(session, "Due since yesterday", now=now)
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        editions.set_schedule(session, newsletter.id, Schedule(time(7), "Europe/London"), now=now - timedelta(days=3))
    dkim = {
        "MAIL_DEFAULT_SENDER": f"briefing@{DOMAIN}",
        "DKIM_DOMAIN": DOMAIN,
        "DKIM_SELECTOR": SELECTOR,
        "DKIM_PRIVATE_KEY_FILE": str(key_file(tmp_path)),
    }
    with start("one", **dkim) as one, start("clock", "--beat") as clock:
        [mail] = sink.wait_for(1, seconds=120)
        assert (clock.stop(), one.stop()) == (0, 0)
    assert mail.recipients == ("reader-1@example.org",)
    assert is_valid(mail.raw)


def test_while_the_broker_is_away_sign_in_mail_goes_out_and_digests_follow_when_it_is_back(
    start: Start, parts: Parts, sink: Sink, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path / "redis.sock")
    clock = start("clock", "--beat", lease_seconds=1, broker=server.url)
    with server, start("one", broker=server.url) as one, clock:
        ask_to_sign_in(parts, "ada@example.net")
        sink.wait_for(1, seconds=120)
        server.stop()
        owe_an_issue(parts, readers=1)
        ask_to_sign_in(parts, "bob@example.net")
        sink.wait_for(2, seconds=120)
        server.start()
        sink.wait_for(3, seconds=120)
        assert one.stop() == 0
    assert [mail.recipients[0] for mail in sink.received] == [
        "ada@example.net", "bob@example.net", "reader-0@example.org",
    ]  # fmt: skip
