"""Whoever asks for an issue, however often, from however many processes: there is one, and it goes out once."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from sqlalchemy import func, select

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Status
from newsletter_svc.digests.models import Digest
from newsletter_svc.digests.runs import Outcome
from newsletter_svc.parts import Parts
from tests.e2e.service import wait_until
from tests.factories import make_articles, owe_issue, send_now
from tests.fakes.smtp_thread import MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host, MakeHost
from tests.faults.issues import add_readers, schedule_since
from tests.faults.ledgers import mailing, statuses

T = TypeVar("T")
READERS = 15


def digests(parts: Parts) -> int:
    with parts.database.reading() as session:
        return session.scalars(select(func.count()).select_from(Digest)).one()


def at_once(times: int, ask: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(20) as pool:
        return [asked.result() for asked in [pool.submit(ask) for _ in range(times)]]


def test_twenty_triggers_on_two_hosts_make_one_issue_and_the_others_say_so(
    service: Parts, server: MailServer, make_host: MakeHost
) -> None:
    add_readers(service, READERS)
    schedule_since(service, days=2)
    hosts = [make_host("one"), make_host("two")]
    with ExitStack() as stack:
        triggers = [stack.enter_context(hosts[number % 2].run("digest", "run-due")) for number in range(20)]
        codes = [trigger.ended() for trigger in triggers]
        assert codes == [0] * 20, [trigger.said() for trigger in triggers]
        said = Counter("seen to already" in trigger.said() for trigger in triggers)
    assert said == {True: 19, False: 1}
    assert digests(service) == 1
    hosts[0].call("digest", "send", "--wait")
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


def test_three_days_without_cron_are_made_up_for_by_one_issue(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, READERS)
    schedule_since(service, days=3)
    assert "issue 1 with 3 articles, for 15 readers" in host.call("digest", "run-due")[1]
    code, said = host.call("digest", "run-due")
    assert code == 0
    assert "seen to already" in said
    host.call("digest", "send", "--wait")
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}
    assert digests(service) == 1


def test_a_hundred_sends_at_once_are_one(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, READERS)
    with service.database.transaction() as session:
        make_articles(session, "The quiet budget", now=utcnow())
    runs = at_once(100, lambda: send_now(service))
    assert Counter(run.outcome for run in runs) == {Outcome.PUBLISHED: 1, Outcome.NOTHING_NEW: 99}
    host.call("digest", "send", "--wait")
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


def test_a_hundred_resumes_at_once_while_it_goes_out_send_nothing_twice(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, 6 * READERS)
    owe_issue(service)
    mailing_id = mailing(service).id

    def pause() -> bool:
        with service.database.transaction() as session:
            return mailings.pause(session, mailing_id)

    def resume() -> bool:
        with service.database.transaction() as session:
            return mailings.resume(session, mailing_id)

    server.latency = 0.01
    with host.run("digest", "send", "--wait") as sender:
        for arrived in (10, 30, 50):
            server.wait_for(arrived)
            assert pause()
            assert sum(at_once(100, resume)) == 1
        assert sender.ended() == 0, sender.said()
    accounts = assert_accounted(service.database, server.arrivals, rows=6 * READERS)
    assert accounts.statuses == {Status.SENT: 6 * READERS}


def test_what_is_paused_waits_and_what_is_cancelled_stays(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, 200)
    owe_issue(service)
    server.latency = 0.1
    with host.run("worker") as worker:
        server.wait_for(10)
        assert host.call("digest", "pause", "1")[0] == 0
        wait_until(lambda: not statuses(service)[Status.CLAIMED], "what was in hand is given back")
        paused = assert_accounted(service.database, server.arrivals, rows=200).statuses
        assert paused.keys() == {Status.SENT, Status.PENDING}
        assert host.call("digest", "cancel", "1")[0] == 0
        cancelled = assert_accounted(service.database, server.arrivals, rows=200).statuses
        assert cancelled == {Status.SENT: paused[Status.SENT], Status.CANCELLED: paused[Status.PENDING]}
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0
    assert host.call("digest", "send", "--wait")[0] == 0
    assert assert_accounted(service.database, server.arrivals, rows=200).statuses == cancelled
