"""A mail server in trouble, or one that refuses: what each reply makes of the ledger, and that nobody pays for another.

Every test sends a digest with the command that cron runs.
"""

import os
import signal
import ssl
from datetime import timedelta

import pytest
import trustme

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import MailingState, Status
from newsletter_svc.parts import Parts
from tests.e2e.service import wait_until
from tests.factories import owe_issue
from tests.fakes.smtp_script import CLOSE
from tests.fakes.smtp_thread import SILENCE, WITH_PIPELINING, WITHOUT_PIPELINING, MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host
from tests.faults.issues import add_readers, addresses
from tests.faults.ledgers import let_time_pass, mailing, rows, statuses, suppressed

SEND = ("digest", "send", "--wait")
READERS = 40
CLOSING = f"421 4.3.2 closing for the night{CLOSE}"
NONSENSE = "I would rather not say"


@pytest.fixture
def issue(service: Parts) -> None:
    """An issue that is owed to READERS readers."""
    add_readers(service, READERS)
    owe_issue(service)


def send_until_nothing_waits(service: Parts, host: Host) -> None:
    """Send, and send again what was put off, until nothing is."""
    for _ in range(10):
        host.call(*SEND)
        if not statuses(service).keys() & {Status.PENDING, Status.CLAIMED, Status.RETRY}:
            return
        let_time_pass(service)
    raise AssertionError(f"still not out: {statuses(service)}")


pytestmark = pytest.mark.usefixtures("issue")


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data"])
def test_a_server_in_trouble_is_tried_again_and_nobody_is_to_blame(
    service: Parts, server: MailServer, host: Host, stage: str
) -> None:
    for answer in (CLOSING, CLOSE, NONSENSE):
        server.answer(stage, answer, after=2, times=1)
    send_until_nothing_waits(service, host)
    accounts = assert_accounted(service.database, server.arrivals, rows=READERS)
    assert accounts.statuses == {Status.SENT: READERS}
    assert suppressed(service) == {}


def test_a_421_to_the_message_itself_is_a_no_and_it_comes_again(service: Parts, server: MailServer, host: Host) -> None:
    server.answer("dot", CLOSING, after=5, times=3)
    send_until_nothing_waits(service, host)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}
    assert suppressed(service) == {}


def test_a_server_that_is_restarted_in_the_middle_gets_the_rest(service: Parts, server: MailServer, host: Host) -> None:
    server.latency = 0.02
    with host.run("worker") as worker:
        server.wait_for(10)
        server.stop()
        server.start()
        wait_until_at_rest(service)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0
    # What it had in hand when it went down may have been stored, and is sent once more.
    assert_accounted(service.database, server.arrivals, rows=READERS, duplicates=service.settings.mail_connections)
    assert suppressed(service) == {}


def test_a_server_that_nobody_reaches_leaves_everything_owed(service: Parts, server: MailServer, host: Host) -> None:
    server.stop()
    with host.run("worker"):
        wait_until(lambda: statuses(service).keys() & {Status.CLAIMED, Status.RETRY}, "somebody is at it")
        server.start()
        wait_until_at_rest(service)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


@pytest.mark.long
def test_a_server_that_stays_away_puts_all_of_it_off_and_counts_no_attempt(
    service: Parts, server: MailServer, host: Host
) -> None:
    server.stop()
    with host.run("worker"):
        wait_until(lambda: statuses(service) == {Status.RETRY: READERS}, "all is put off", seconds=60)
        assert {row.attempts for row in rows(service).values()} == {0}
        assert suppressed(service) == {}
        server.start()
        wait_until_at_rest(service)
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


def test_a_server_whose_name_nobody_knows_leaves_everything_owed(
    service: Parts, server: MailServer, host: Host
) -> None:
    with host.run("worker", MAIL_SERVER="no-such-host.invalid") as worker:
        wait_until(lambda: statuses(service).keys() & {Status.CLAIMED, Status.RETRY}, "somebody is at it")
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0, worker.said()
    assert statuses(service).keys() <= {Status.PENDING, Status.RETRY}
    assert {row.attempts for row in rows(service).values()} == {0}
    let_time_pass(service)
    assert host.call(*SEND)[0] == 0
    assert assert_accounted(service.database, server.arrivals, rows=READERS).statuses == {Status.SENT: READERS}


@pytest.mark.parametrize("trouble", ["no encryption", "bad certificate"])
def test_where_encryption_is_wanted_nothing_goes_without(
    service: Parts, server: MailServer, host: Host, trouble: str
) -> None:
    if trouble == "bad certificate":
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(server.tls)
    with host.run("worker", MAIL_USE_TLS="true") as worker:
        server.wait_for_command("EHLO", count=2)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0
    assert not [command for command in server.commands if command.startswith(("MAIL", "AUTH"))]
    assert statuses(service).keys() <= {Status.PENDING, Status.RETRY}
    assert {row.attempts for row in rows(service).values()} == {0}
    assert suppressed(service) == {}


@pytest.mark.parametrize("features", [WITH_PIPELINING, WITHOUT_PIPELINING])
def test_a_passing_refusal_is_tried_after_half_an_hour_then_an_hour_and_given_up_after_three_days(
    service: Parts, server: MailServer, host: Host, features: tuple[str, ...]
) -> None:
    server.features = features
    refusals = ("450 4.2.1 mailbox busy", "451 4.7.1 greylisted", "452 4.2.2 mailbox full")
    patient, hopeless = addresses(READERS)[10:13], addresses(READERS)[20]
    for reader, refusal in zip(patient, refusals, strict=True):
        server.answer("rcpt", refusal, recipient=reader, times=2)
    server.answer("rcpt", refusals[0], recipient=hopeless)
    for minutes in (30, 60):
        began = utcnow()
        code, said = host.call(*SEND)
        assert code == 1
        assert statuses(service) == {Status.SENT: READERS - 4, Status.RETRY: 4}
        for reader in patient:
            assert f"retry: {reader}" in said
            assert began <= rows(service)[reader].due_at - timedelta(minutes=minutes) <= utcnow()
        let_time_pass(service)
    host.call(*SEND)
    assert {rows(service)[reader].status for reader in patient} == {Status.SENT}
    let_time_pass(service, by=timedelta(hours=72))
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.FAILED: 1}
    assert rows(service)[hopeless].reason == "4.2.1"
    assert suppressed(service) == {}


@pytest.mark.parametrize("features", [WITH_PIPELINING, WITHOUT_PIPELINING])
def test_a_missing_mailbox_is_written_to_no_more_and_the_next_reader_follows_on_the_same_connection(
    service: Parts, server: MailServer, host: Host, features: tuple[str, ...]
) -> None:
    server.features = features
    gone = addresses(READERS)[7]
    server.answer("rcpt", f"550 5.1.1 <{gone}> no such user", recipient=gone)
    code, said = host.call(*SEND, MAIL_CONNECTIONS="1")
    assert code == 0, said
    assert server.connections == 1
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.FAILED: 1}
    assert suppressed(service) == {gone: "hard_bounce 5.1.1"}
    owe_issue(service, "The day after")
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=2 * READERS)
    assert statuses(service)[Status.SUPPRESSED] == 1


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("mail", "530 5.7.0 sign in first"),
        ("mail", "550 5.7.1 sender not allowed"),
        ("rcpt", "530 5.7.0 sign in first"),
        ("data", "535 5.7.8 wrong password"),
    ],
)
def test_who_may_not_send_stops_alerts_and_loses_nothing(
    service: Parts, server: MailServer, host: Host, stage: str, answer: str
) -> None:
    server.answer(stage, answer, after=4)
    with host.run("worker") as worker:
        wait_until(lambda: alerted(service), "the operator is alerted")
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0
    assert alerted(service) == {Cause.SENDER_REFUSED}
    stopped = assert_accounted(service.database, server.arrivals, rows=READERS).statuses
    assert stopped.keys() == {Status.SENT, Status.PENDING}
    assert suppressed(service) == {}
    server.behave()
    assert host.call(*SEND)[0] == 0
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}


def test_a_message_that_is_too_big_pauses_the_issue_after_three_and_a_full_mailbox_does_not(
    service: Parts, server: MailServer, host: Host
) -> None:
    full = addresses(READERS)[0]
    server.answer("dot", "552 5.2.2 mailbox full", recipient=full, times=1)
    server.answer("dot", "552 5.3.4 message too big for this system", after=6)
    host.call(*SEND, MAIL_CONNECTIONS="1")
    assert mailing(service).state == MailingState.PAUSED
    assert alerted(service)
    paused = assert_accounted(service.database, server.arrivals, rows=READERS).statuses
    # It is our fault, so nobody is given up. One more may have been on its way.
    assert paused[Status.SENT] == 6
    assert paused[Status.RETRY] in (1 + 3, 1 + 4)
    assert paused[Status.PENDING] == READERS - 6 - paused[Status.RETRY]
    assert suppressed(service) == {}
    server.behave()
    resume(service)
    let_time_pass(service)
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}


def test_a_policy_refusal_fails_one_and_twenty_of_them_pause_the_issue(
    service: Parts, server: MailServer, host: Host
) -> None:
    disliked = addresses(READERS)[3]
    server.answer("rcpt", "550 5.7.1 we do not like this one", recipient=disliked)
    server.answer("dot", "554 5.7.1 we do not like any of you", after=8)
    host.call(*SEND, MAIL_CONNECTIONS="1")
    assert mailing(service).state == MailingState.PAUSED
    assert alerted(service)
    assert rows(service)[disliked].reason == "5.7.1"
    paused = assert_accounted(service.database, server.arrivals, rows=READERS).statuses
    assert paused[Status.SENT] == 8
    assert paused[Status.FAILED] in range(20, 23)
    assert paused[Status.PENDING] == READERS - 8 - paused[Status.FAILED]
    assert suppressed(service) == {}


def test_a_hang_after_the_dot_is_unknown_and_other_connections_do_not_wait(
    service: Parts, server: MailServer, host: Host
) -> None:
    silent = addresses(READERS)[5]
    server.answer("dot", SILENCE, recipient=silent)
    host.environ["UNKNOWN_RESEND_SECONDS"] = "3600"
    code, said = host.call(*SEND, MAIL_TIMEOUT="1")
    assert code == 1
    assert f"unknown: {silent}" in said
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.UNKNOWN: 1}
    server.behave()
    let_time_pass(service)
    assert host.call(*SEND)[0] == 0
    assert_accounted(service.database, server.arrivals, rows=READERS, duplicates=1)
    assert statuses(service) == {Status.SENT: READERS}


@pytest.mark.parametrize("answer", [CLOSE, f"25{CLOSE}", NONSENSE])
def test_a_connection_that_is_lost_after_the_dot_leaves_one_unknown(
    service: Parts, server: MailServer, host: Host, answer: str
) -> None:
    server.answer("dot", answer, after=10, times=1)
    host.environ["UNKNOWN_RESEND_SECONDS"] = "3600"
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.UNKNOWN: 1}


@pytest.mark.parametrize("features", [WITH_PIPELINING, WITHOUT_PIPELINING])
def test_a_server_that_hangs_up_after_three_mails_loses_none(
    service: Parts, server: MailServer, host: Host, features: tuple[str, ...]
) -> None:
    server.features, server.close_after = features, 3
    code, said = host.call(*SEND)
    assert code == 0, said
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}
    assert server.connections >= READERS // 3


def alerted(service: Parts) -> set[Cause]:
    with service.database.reading() as session:
        return {alert.cause for alert in alerts.current(session, now=utcnow())}


def resume(service: Parts) -> None:
    with service.database.transaction() as session:
        assert mailings.resume(session, mailing(service).id)


def wait_until_at_rest(service: Parts) -> None:
    """Nothing waits any more, but for what may be sent once more; that is let go at once."""

    def is_at_rest() -> bool:
        let_time_pass(service)
        return not statuses(service).keys() & {Status.PENDING, Status.CLAIMED, Status.RETRY, Status.UNKNOWN}

    wait_until(is_at_rest, "everything is out")
