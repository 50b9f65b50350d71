"""`kill -9` at any moment: every reader has the digest or is named, and what came twice has a kill as its reason."""

from random import Random

import pytest

from newsletter_svc.delivery.models import Status
from newsletter_svc.parts import Parts
from tests.fakes.smtp_thread import SILENCE, MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.conftest import Host, add_readers, addresses, owe_issue

SEND = ("digest", "send", "--wait")


def test_a_kill_before_the_message_left_costs_nothing(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, 12)
    owe_issue(service)
    server.answer("data", SILENCE)
    with host.run(*SEND) as victim:
        server.wait_for_command("DATA")
        victim.kill()
    server.behave()
    code, said = host.call(*SEND)
    assert code == 0, said
    assert assert_accounted(service.database, server.arrivals, rows=12).statuses == {Status.SENT: 12}


def kill_until_it_is_out(
    service: Parts, server: MailServer, host: Host, *, kills: int, readers: int, seed: int
) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    add_readers(service, readers)
    owe_issue(service)
    done = 0
    while done < kills:
        with host.run(*SEND) as victim:
            left = readers - len(server.arrivals)
            server.wait_for(len(server.arrivals) + random.randint(0, max(1, 2 * left // (kills - done + 1))))
            victim.process.join(random.random() * server.latency)
            victim.kill()
            done += 1
    code, said = host.call(*SEND)
    print(said)
    accounts = assert_accounted(
        service.database, server.arrivals, rows=readers, duplicates=kills * service.settings.mail_connections
    )
    named = {line.split()[1] for line in said.splitlines() if line.startswith("  unknown: ")}
    reached = {arrival.recipient for arrival in server.accepted}
    assert reached | named == set(addresses(readers))
    assert accounts.statuses.keys() <= {Status.SENT, Status.UNKNOWN}
    assert code == (1 if named else 0)


def test_twenty_kills_lose_no_reader(service: Parts, server: MailServer, host: Host) -> None:
    server.latency = 0.02
    kill_until_it_is_out(service, server, host, kills=20, readers=300, seed=7)
