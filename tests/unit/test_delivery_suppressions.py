"""What may still go to an address that bounced or complained, and what stays unknown."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger, marks, suppressions
from newsletter_svc.delivery.models import Claimed, Delivery, Status
from tests.factories import owe_bulk, owe_single

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)
READER = "Ada@example.org"


def owe_sign_in(database: Database, key: str, *, now: datetime = NOW) -> int:
    with database.transaction() as session:
        return owe_single(session, READER, now=now, kind=key)


def owe_digest(database: Database) -> int:
    with database.transaction() as session:
        return owe_bulk(session, READER, now=NOW)


def claim(database: Database, mailing_id: int | None = None, *, now: datetime = NOW) -> list[Claimed]:
    with database.transaction() as session:
        lease = ledger.Lease(worker=f"worker at {now}", seconds=300)
        return ledger.claim(session, mailing_id, lease=lease, limit=10, wanted={}, now=now)


def suppress(database: Database, reason: str) -> None:
    with database.transaction() as session:
        suppressions.add(session, READER.lower(), reason=reason, now=NOW)


@pytest.mark.parametrize("reason", ["complaint abuse", "hard_bounce 5.1.1", "operator"])
def test_no_newsletter_goes_to_a_suppressed_address(database: Database, reason: str) -> None:
    suppress(database, reason)
    assert claim(database, owe_digest(database)) == []


def test_who_complained_can_still_sign_in_as_often_as_others(database: Database) -> None:
    suppress(database, "complaint abuse")

    for number in range(3):
        owe_sign_in(database, f"sign_in:{number}")
        assert len(claim(database)) == 1


def test_an_address_that_bounced_gets_one_sign_in_mail_a_day(database: Database) -> None:
    suppress(database, "hard_bounce 5.1.1")
    owe_sign_in(database, "sign_in:1")
    (first,) = claim(database)
    with database.transaction() as session:
        marks.failed(session, first, reason="5.1.1", reply="550 5.1.1 no", now=NOW)

    owe_sign_in(database, "sign_in:2", now=NOW + DAY / 2)
    assert claim(database, now=NOW + DAY / 2) == []

    third = owe_sign_in(database, "sign_in:3", now=NOW + DAY)
    assert [row.id for row in claim(database, now=NOW + DAY)] == [third]


@pytest.mark.parametrize("comes_back", ["postponed", "given back"])
def test_what_may_have_arrived_stays_unknown_when_its_resend_did_not_leave(database: Database, comes_back: str) -> None:
    mailing_id = owe_digest(database)
    (first,) = claim(database, mailing_id)
    with database.transaction() as session:
        marks.unknown(session, first, resend_at=NOW + DAY)
    (resend,) = claim(database, mailing_id, now=NOW + DAY)
    with database.transaction() as session:
        if comes_back == "postponed":
            marks.postpone(session, [resend], reason="server_unavailable", reply=None, due_at=NOW + DAY)
        else:
            marks.give_back(session, [resend])

    with database.reading() as session:
        row = session.get_one(Delivery, first.id)
        assert (row.status, row.attempts, row.resends) == (Status.UNKNOWN, 1, 0)
    assert len(claim(database, mailing_id, now=NOW + DAY)) == 1
