"""Readers and articles that are not as they should be, and those that change while an issue waits in the ledger."""

import os
import re
import shutil
import signal
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from sqlalchemy import text

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Status
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters, subscriptions
from tests.conftest import POSTGRES
from tests.factories import make_articles, make_reader, owe_issue
from tests.fakes.smtp_thread import Arrival, MailServer
from tests.faults.accounts import assert_accounted
from tests.faults.hosts import Host
from tests.faults.issues import add_readers, addresses
from tests.faults.ledgers import rows, statuses

SEND = ("digest", "send", "--wait")
READERS = 20
ROOT = Path(__file__).parents[2]


def change(parts: Parts, statement: str, **values: object) -> None:
    with parts.database.transaction() as session:
        session.execute(text(statement), values)


def received(server: MailServer) -> set[str]:
    return {arrival.recipient for arrival in server.arrivals}


def subscriber_of(parts: Parts, address: str) -> int:
    found = rows(parts)[address].subscriber_id
    assert found is not None
    return found


def test_who_left_was_suppressed_or_erased_while_queued_gets_nothing(
    service: Parts, server: MailServer, host: Host
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    left, suppressed, erased, *others = addresses(READERS)
    with service.database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        subscriptions.leave(session, subscriber_of(service, left), newsletter_id, now=utcnow())
        suppressions.add(session, suppressed, reason="complaint", now=utcnow())
    change(service, "DELETE FROM subscribers WHERE email = :email", email=erased)
    code, said = host.call(*SEND)
    assert code == 0, said
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 3, Status.CANCELLED: 2, Status.SUPPRESSED: 1}
    assert received(server) == set(others)


@pytest.mark.parametrize(
    "poison", ["no address at all", "a@b.example\r\nRCPT TO:<eve@example.org>", "", "ada@example.org\x00", "<a@b.org>"]
)
def test_an_address_that_is_none_fails_alone(service: Parts, server: MailServer, host: Host, poison: str) -> None:
    if POSTGRES and "\x00" in poison:
        pytest.skip("PostgreSQL lets no such text in")
    add_readers(service, READERS)
    owe_issue(service)
    odd, *others = addresses(READERS)
    change(service, "UPDATE deliveries SET recipient = :poison WHERE recipient = :odd", poison=poison, odd=odd)
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.FAILED: 1}
    assert rows(service)[poison].reason
    assert received(server) == set(others)
    assert not any("eve@" in command for command in server.commands)


@pytest.mark.parametrize(
    "name", ["Ada\r\nBcc: eve@example.org\r\n\r\nHello", "\x00\x1b[31m", "\u202eada", "=?utf-8?q?Ada?=", "A" * 200]
)
def test_a_name_that_is_odd_neither_breaks_a_mail_nor_the_issue(
    service: Parts, server: MailServer, host: Host, name: str
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    odd = addresses(READERS)[0]
    name = name.replace("\x00", "") if POSTGRES else name
    change(service, "UPDATE subscribers SET name = :name WHERE email = :odd", name=name, odd=odd)
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}
    [mail] = [arrival for arrival in server.arrivals if arrival.recipient == odd]
    assert message_from_bytes(mail.content)["Bcc"] is None
    assert message_from_bytes(mail.content)["List-Unsubscribe"]


@pytest.mark.skipif(POSTGRES is not None, reason="PostgreSQL lets no broken text in")
def test_broken_text_in_one_row_stops_nobody_else(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    misnamed, misaddressed, *others = addresses(READERS)
    change(service, "UPDATE subscribers SET name = CAST(x'eda080' AS TEXT) WHERE email = :odd", odd=misnamed)
    broken = "UPDATE deliveries SET recipient = CAST(x'ff40622e6f7267' AS TEXT) WHERE recipient = :odd"
    change(service, broken, odd=misaddressed)
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS - 1, Status.FAILED: 1}
    assert received(server) == {misnamed, *others}


def test_an_article_that_cannot_be_rendered_is_left_out_and_the_issue_goes(
    service: Parts, server: MailServer, host: Host
) -> None:
    if POSTGRES:
        pytest.skip("PostgreSQL lets no broken text in")
    add_readers(service, READERS)
    with service.database.transaction() as session:
        make_articles(session, "Good", "Damaged", now=utcnow())
    change(service, "UPDATE articles SET body_html = x'ff' WHERE title = 'Damaged'")
    code, said = host.call(*SEND)
    assert code == 0, said
    assert "1 that cannot be rendered left out" in said
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert statuses(service) == {Status.SENT: READERS}
    assert "Damaged" not in plain(server.arrivals[0])


def plain(arrival: Arrival) -> str:
    """What all readers have in common: the text part without the links of one's own."""
    part = message_from_bytes(arrival.content, policy=policy.default).get_body(("plain",))
    assert part is not None
    return re.sub(r"https?://\S+", "", str(part.get_content()))


def call_next_release(folder: Path, host: Host, *arguments: str) -> None:
    """Run the command of a release that has other words in its templates, as after a deployment in mid-issue."""
    everything = {"dirs_exist_ok": True, "ignore": shutil.ignore_patterns("__pycache__")}
    shutil.copytree(ROOT / "src", folder / "src", **everything)
    shutil.copytree(ROOT / "templates", folder / "templates", **everything)
    template = folder / "templates" / "email" / "digest" / "body.txt"
    template.write_text(template.read_text() + "\nChanged since.\n")
    program = [sys.executable, "-c", "from newsletter_svc.app import main; main()", *arguments]
    environ = host.all_environ | {"PYTHONPATH": str(folder / "src"), "PATH": os.environ["PATH"]}
    subprocess.run(program, cwd=folder, env=environ, check=True)


@pytest.mark.long
def test_a_template_that_changes_in_mid_issue_changes_it_for_nobody(
    service: Parts, server: MailServer, host: Host, tmp_path: Path
) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    server.latency = 0.05
    with host.run(*SEND) as sender:
        server.wait_for(5)
        os.kill(sender.pid, signal.SIGTERM)
        sender.ended()
    server.latency = 0
    early = len(server.arrivals)
    call_next_release(tmp_path / "next", host, *SEND)
    assert READERS > early >= 5
    assert_accounted(service.database, server.arrivals, rows=READERS)
    assert received(server) == set(addresses(READERS))
    assert len({plain(arrival) for arrival in server.arrivals}) == 1
    with service.database.transaction() as session:
        make_articles(session, "The next day", now=utcnow())
    call_next_release(tmp_path / "next", host, *SEND)
    assert "Changed since." in plain(server.arrivals[-1])


def test_who_joins_after_the_issue_was_made_gets_the_next_one(service: Parts, server: MailServer, host: Host) -> None:
    add_readers(service, READERS)
    owe_issue(service)
    with service.database.transaction() as session:
        make_reader(session, "late@example.org", now=utcnow())
    host.call(*SEND)
    assert received(server) == set(addresses(READERS))
    owe_issue(service, "The next day")
    host.call(*SEND)
    assert_accounted(service.database, server.arrivals, rows=2 * READERS + 1)
    assert received(server) == {*addresses(READERS), "late@example.org"}
    assert [arrival.recipient for arrival in server.arrivals].count("late@example.org") == 1
