"""A clock that is a day ahead or behind: whose claims are whose, and what is due, does not go wrong by it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter_svc.delivery.models import Status
from newsletter_svc.parts import Parts
from tests.conftest import POSTGRES
from tests.factories import owe_issue
from tests.fakes.smtp_thread import MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import MakeHost
from tests.faults.issues import add_readers, schedule_since

READERS = 200
DAY = timedelta(days=1)
SEND = ("digest", "send", "--wait")


@pytest.mark.parametrize("fast_by", [DAY, -DAY])
def test_a_sender_whose_clock_is_wrong_takes_nothing_from_one_that_lives(
    service: Parts, server: MailServer, make_host: MakeHost, fast_by: timedelta
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    right = make_host("right")
    # SQLite has one host. On PostgreSQL another one, which cannot see the journals, goes by the database's time.
    wrong = replace(make_host("wrong") if POSTGRES else right, fast_by=fast_by)
    server.latency = 0.02
    with right.run(*SEND) as sender, wrong.run("worker"):
        assert sender.ended() == 0, sender.said()
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


def test_a_clock_that_jumps_makes_no_second_issue_and_loses_none(
    service: Parts, server: MailServer, make_host: MakeHost
) -> None:
    add_readers(service, 10)
    schedule_since(service, days=2)
    host = make_host("host")
    assert "issue 1 with 2 articles" in host.call("digest", "run-due")[1]
    for fast_by, says in ((DAY, "nothing new"), (-DAY, "seen to already"), (timedelta(), "seen to already")):
        host.fast_by = fast_by
        code, said = host.call("digest", "run-due")
        assert code == 0
        assert says in said
    host.call(*SEND)
    assert assert_accounted(service.database, server.arrivals, rows=10).statuses == {Status.SENT: 10}
