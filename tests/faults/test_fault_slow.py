"""A mail server that takes its time: connections share the waiting, memory does not grow, sign-in mail overtakes."""

import os
import signal
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from newsletter_svc.delivery.models import Status
from newsletter_svc.parts import Parts
from tests.factories import owe_issue
from tests.fakes.smtp_thread import Arrival, MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host
from tests.faults.issues import add_readers
from tests.faults.ledgers import statuses
from tests.faults.processes import Running

SIGN_IN = "sign-in@example.org"
SEND = ("digest", "send", "--wait")


def wait_for_sign_in(server: MailServer) -> int:
    """How many mails came before that of who signs in."""
    for count in range(len(server.arrivals), 1_000_000):
        arrivals = server.wait_for(count + 1)
        if arrivals[count].recipient == SIGN_IN:
            return count
    raise AssertionError("it never came")


def test_sign_in_mail_overtakes_a_digest_of_which_every_message_takes_its_time(
    service: Parts, server: MailServer, host: Host, client: FlaskClient
) -> None:
    connections = service.settings.mail_connections
    add_readers(service, 300)
    owe_issue(service)
    server.latency = 0.05
    with host.run("worker") as worker:
        server.wait_for(2 * connections)
        asked = len(server.arrivals)
        assert client.post("/signin", json={"email": SIGN_IN}).status_code == 202
        before = wait_for_sign_in(server)
        print(f"{before - asked} mails of the digest came between the asking and the mail")
        assert statuses(service)[Status.SENT] < 300
        server.latency = 0
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.ended() == 0
    host.call(*SEND)
    assert assert_accounted(service.database, server.arrivals, rows=301).statuses == {Status.SENT: 301}


def test_a_digest_uses_as_many_connections_as_it_may_and_no_more(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, 40)
    owe_issue(service)
    server.latency = 0.05
    host.call(*SEND, MAIL_CONNECTIONS="8")
    assert assert_accounted(service.database, server.arrivals, rows=40).statuses == {Status.SENT: 40}
    assert server.most_at_once == 8


def memory(worker: Running) -> int:
    """Kilobytes that the worker holds."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def arrivals_of(server: MailServer, recipient: str) -> list[Arrival]:
    return [arrival for arrival in server.arrivals if arrival.recipient == recipient]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_at_five_seconds_a_message_memory_is_flat_and_sign_in_mail_comes_at_once(
    service: Parts, server: MailServer, host: Host, client: FlaskClient
) -> None:
    add_readers(service, 400)
    owe_issue(service)
    server.latency = 5
    with host.run("worker", MAIL_CONNECTIONS="20", MAIL_TIMEOUT="60") as worker:
        server.wait_for(20)
        began, early = time.monotonic(), memory(worker)
        for number in range(5):
            server.wait_for(20 + 60 * number, seconds=60)
            reader = f"sign-in-{number}@example.org"
            asked = time.monotonic()
            assert client.post("/signin", json={"email": reader}).status_code == 202
            while not arrivals_of(server, reader):
                time.sleep(0.01)
            print(f"sign-in mail after {time.monotonic() - asked:.2f} s, {memory(worker)} kB")
            assert time.monotonic() - asked < 5
        server.wait_for(405, seconds=200)
        rate = 380 / (time.monotonic() - began)
        print(f"{rate:.1f} messages a second over 20 connections; {early} kB at first, {memory(worker)} kB at the end")
        assert memory(worker) < 1.2 * early
    assert server.most_at_once <= 20 + 3
    assert_accounted(service.database, server.arrivals, rows=405, kept=tuple(Status))
