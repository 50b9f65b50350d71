"""What may still go to an address that bounced or complained, and what stays unknown."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger, suppressions
from newsletter_svc.delivery.models import Delivery, Lane, Status

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)
READER = "Ada@example.org"


def owe(database: Database, key: str, *, lane: Lane, now: datetime = NOW) -> None:
    with database.transaction() as session:
        ledger.enqueue(
            session,
            key=key,
            kind="note",
            lane=lane,
            recipient=READER,
            subscriber_id=None,
            subject_id="1",
            message_domain="example.org",
            now=now,
        )


def claim(database: Database, lane: Lane, *, now: datetime = NOW) -> list[Delivery]:
    with database.transaction() as session:
        lease = ledger.Lease(worker=f"worker at {now}", seconds=300)
        return ledger.claim(session, lane, lease=lease, limit=10, wanted={}, now=now)


def suppress(database: Database, reason: str) -> None:
    with database.transaction() as session:
        suppressions.add(session, READER.lower(), reason=reason, now=NOW)


@pytest.mark.parametrize("reason", ["complaint abuse", "hard_bounce 5.1.1", "operator"])
def test_no_newsletter_goes_to_a_suppressed_address(database: Database, reason: str) -> None:
    suppress(database, reason)
    owe(database, "digest:1:1", lane=Lane.BULK)

    assert claim(database, Lane.BULK) == []


def test_who_complained_can_still_sign_in_as_often_as_others(database: Database) -> None:
    suppress(database, "complaint abuse")

    for number in range(3):
        owe(database, f"sign_in:{number}", lane=Lane.TRANSACTIONAL)
        assert len(claim(database, Lane.TRANSACTIONAL)) == 1


def test_an_address_that_bounced_gets_one_sign_in_mail_a_day(database: Database) -> None:
    suppress(database, "hard_bounce 5.1.1")
    owe(database, "sign_in:1", lane=Lane.TRANSACTIONAL)
    (first,) = claim(database, Lane.TRANSACTIONAL)
    with database.transaction() as session:
        ledger.mark_failed(session, first, reason="5.1.1", reply="550 5.1.1 no", now=NOW)

    owe(database, "sign_in:2", lane=Lane.TRANSACTIONAL, now=NOW + DAY / 2)
    assert claim(database, Lane.TRANSACTIONAL, now=NOW + DAY / 2) == []

    owe(database, "sign_in:3", lane=Lane.TRANSACTIONAL, now=NOW + DAY)
    assert [row.key for row in claim(database, Lane.TRANSACTIONAL, now=NOW + DAY)] == ["sign_in:3"]


@pytest.mark.parametrize("comes_back", ["postponed", "given back"])
def test_what_may_have_arrived_stays_unknown_when_its_resend_did_not_leave(database: Database, comes_back: str) -> None:
    owe(database, "digest:1:1", lane=Lane.BULK)
    (first,) = claim(database, Lane.BULK)
    with database.transaction() as session:
        ledger.mark_unknown(session, first, resend_at=NOW + DAY)
    (resend,) = claim(database, Lane.BULK, now=NOW + DAY)
    with database.transaction() as session:
        if comes_back == "postponed":
            ledger.postpone(session, resend, reason="server_unavailable", reply=None, due_at=NOW + DAY)
        else:
            ledger.give_back(session, resend)

    with database.reading() as session:
        row = session.get_one(Delivery, first.id)
        assert (row.status, row.attempts, row.resends) == (Status.UNKNOWN, 1, 0)
    assert len(claim(database, Lane.BULK, now=NOW + DAY)) == 1
