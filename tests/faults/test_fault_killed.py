"""A sender that is killed or told to end: every reader has the digest or is named, and what came twice has a reason."""

import os
import shutil
import signal
from contextlib import ExitStack
from random import Random

import pytest

from newsletter_svc.delivery.models import Status
from newsletter_svc.parts import Parts
from tests.e2e.service import wait_until
from tests.factories import owe_issue
from tests.fakes.smtp_thread import SILENCE, MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host, MakeHost
from tests.faults.issues import add_readers, addresses
from tests.faults.ledgers import let_time_pass, rows, statuses
from tests.faults.processes import Running, descendants

SEND = ("digest", "send", "--wait")


def kill_at(server: MailServer, host: Host, stage: str) -> None:
    """Kill a sender when the server has fallen silent at this stage."""
    server.answer(stage, SILENCE)
    arrived = len(server.arrivals)
    with host.run(*SEND) as victim:
        if stage == "dot":
            server.wait_for(arrived + 1)
        else:
            server.wait_for_command({"rcpt": "RCPT", "data": "DATA"}[stage])
        victim.kill()
    server.behave()


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_a_kill_before_the_message_left_costs_nothing(
    service: Parts, server: MailServer, host: Host, stage: str
) -> None:
    add_readers(service, 12)
    owe_issue(service)
    kill_at(server, host, stage)
    code, said = host.call(*SEND)
    assert code == 0, said
    assert assert_accounted(service.database, server.arrivals, rows=12).statuses == {Status.SENT: 12}


def test_what_a_lost_machine_held_is_sent_by_another_when_its_lease_is_over(
    service: Parts, server: MailServer, make_host: MakeHost
) -> None:
    add_readers(service, 12)
    owe_issue(service)
    lost = make_host("lost")
    kill_at(server, lost, "data")
    shutil.rmtree(lost.var)
    code, said = make_host("other").call(*SEND)
    assert code == 0, said
    assert assert_accounted(service.database, server.arrivals, rows=12).statuses == {Status.SENT: 12}


def test_a_kill_after_the_dot_is_unknown_sent_once_more_and_then_the_operators(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, 1)
    owe_issue(service)
    [reader] = addresses(1)
    host.environ["UNKNOWN_RESEND_SECONDS"] = "3600"
    for attempt in (1, 2):
        kill_at(server, host, "dot")
        code, said = host.call(*SEND)
        assert f"unknown: {reader}" in said
        assert code == 1
        assert len(server.arrivals) == attempt
        let_time_pass(service)
    host.call(*SEND)
    assert f"unknown: {reader}" in host.call("digest", "status")[1]
    assert_accounted(service.database, server.arrivals, rows=1, duplicates=1)
    left = rows(service)[reader]
    assert [arrival.message_id for arrival in server.arrivals] == [left.message_id] * 2


def kill_again_and_again(
    service: Parts, server: MailServer, hosts: list[Host], *, kills: int, readers: int, random: Random
) -> None:
    """Kill one sender after the other at random moments, each on one of the hosts, then let one on each finish."""
    add_readers(service, readers)
    owe_issue(service)
    for number in range(kills):
        with random.choice(hosts).run(*SEND) as victim:
            wait_for_random_moment(server, victim, kills - number, readers, random)
            assert victim.is_alive, f"the digest was out after {number} kills: {victim.said()}"
            victim.kill()
    with ExitStack() as stack:
        for last in [stack.enter_context(host.run(*SEND)) for host in hosts]:
            assert last.ended() == ("unknown: " in last.said()), last.said()
    duplicates = kills * service.settings.mail_connections * 2  # As many processes as hosts have.
    accounts = assert_accounted(service.database, server.arrivals, rows=readers, duplicates=duplicates)
    _, report = hosts[0].call("digest", "status")
    named = {line.split()[1] for line in report.splitlines() if line.startswith("  unknown: ")}
    assert {arrival.recipient for arrival in server.accepted} | named == set(addresses(readers))
    assert accounts.statuses[Status.UNKNOWN] == len(named)
    assert accounts.statuses[Status.SENT] == readers - len(named)


def wait_for_random_moment(server: MailServer, victim: Running, kills_left: int, readers: int, random: Random) -> None:
    """Some are killed while they start, others after a share of what is left, at any moment of a message."""
    left = readers - len({arrival.recipient for arrival in server.arrivals})
    until = len(server.arrivals) + random.randint(0, 2 * left // (kills_left + 2))
    while len(server.arrivals) < until and victim.is_alive:
        victim.process.join(0.005)
    victim.process.join(random.uniform(0, 2 * server.latency))


def random_moments() -> Random:
    """Other moments each time; FAULT_SEED repeats those of a run that printed its seed."""
    seed = int(os.environ.get("FAULT_SEED", Random().randrange(1_000_000)))
    print(f"FAULT_SEED={seed}")
    return Random(seed)


def test_twenty_kills_lose_no_reader(service: Parts, server: MailServer, host: Host) -> None:
    server.latency = 0.02
    kill_again_and_again(service, server, [host], kills=20, readers=300, random=random_moments())


@pytest.mark.parametrize("arguments", [("worker",), SEND])
def test_one_of_several_senders_that_is_killed_is_replaced_and_loses_no_reader(
    service: Parts, server: MailServer, host: Host, arguments: tuple[str, ...]
) -> None:
    add_readers(service, 300)
    owe_issue(service)
    server.latency, kills, random = 0.02, 3, random_moments()
    with host.run(*arguments) as running:
        for number in range(1, kills + 1):
            server.wait_for(40 * number)
            members = [each for each in descendants(running.pid) if each not in keepers(running.pid)]
            os.kill(random.choice(members), signal.SIGKILL)
        waiting = {Status.PENDING, Status.CLAIMED, Status.RETRY}
        wait_until(lambda: not statuses(service).keys() & waiting, "nothing waits")
        if arguments == ("worker",):
            os.kill(running.pid, signal.SIGTERM)
        code = running.ended()
        assert code == (arguments == SEND and "unknown: " in running.said()), running.said()
    connections = service.settings.mail_connections
    accounts = assert_accounted(service.database, server.arrivals, rows=300, duplicates=kills * connections)
    assert accounts.statuses.keys() <= {Status.SENT, Status.UNKNOWN}
    assert accounts.statuses[Status.UNKNOWN] <= kills * connections


def keepers(process_id: int) -> set[int]:
    """This process and those of its descendants that have made others."""
    return {process_id} | {each for each in descendants(process_id) if len(descendants(each)) > 1}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_no_reader(service: Parts, server: MailServer, host: Host) -> None:
    server.latency = 0.02
    kill_again_and_again(service, server, [host], kills=200, readers=1_000, random=random_moments())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_kills_on_two_hosts_lose_no_reader(service: Parts, server: MailServer, make_host: MakeHost) -> None:
    server.latency = 0.02
    hosts = [make_host("one"), make_host("two")]
    for host in hosts:
        # Longer than a host is ever without a sender here: else the other one sends again what only its journals know.
        host.environ["DELIVERY_LEASE_SECONDS"] = "60"
    kill_again_and_again(service, server, hosts, kills=50, readers=1_000, random=random_moments())


@pytest.mark.long
def test_two_workers_that_are_killed_in_turn_lose_no_reader(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, 3_000)
    owe_issue(service)
    server.latency = 0.003
    random, kills = random_moments(), 14
    with ExitStack() as stack:
        workers = [stack.enter_context(host.run("worker")) for _ in range(2)]
        for number in range(kills):
            victim = workers.pop(random.randrange(2))
            wait_for_random_moment(server, victim, kills - number, 3_000, random)
            victim.kill()
            workers.append(stack.enter_context(host.run("worker")))
        waiting = {Status.PENDING, Status.CLAIMED, Status.RETRY}
        wait_until(lambda: not statuses(service).keys() & waiting, "nothing waits", seconds=60)
        for worker in workers:
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.ended() == 0, worker.said()
    accounts = assert_accounted(service.database, server.arrivals, rows=3_000, duplicates=2 * 4 * kills)
    assert accounts.statuses.keys() <= {Status.SENT, Status.UNKNOWN}


@pytest.mark.parametrize(
    ("arguments", "code", "signal_number"),
    [(("worker",), 0, signal.SIGTERM), (("worker",), 0, signal.SIGINT), (SEND, 1, signal.SIGTERM)],
)
def test_who_is_told_to_end_ends_what_is_in_flight_and_starts_nothing_new(
    service: Parts, server: MailServer, host: Host, arguments: tuple[str, ...], code: int, signal_number: int
) -> None:
    add_readers(service, 60)
    owe_issue(service)
    server.latency = 0.05
    with host.run(*arguments) as sender:
        server.wait_for(8)
        os.kill(sender.pid, signal_number)
        assert sender.ended() == code, sender.said()
    accounts = assert_accounted(service.database, server.arrivals, rows=60)
    assert accounts.statuses.keys() == {Status.SENT, Status.PENDING}
    server.latency = 0
    code, said = host.call(*SEND)
    assert code == 0, said
    assert assert_accounted(service.database, server.arrivals, rows=60).statuses == {Status.SENT: 60}
