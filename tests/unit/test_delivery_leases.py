"""Leases: a claim whose sender lives on stays its own."""

from datetime import UTC, datetime, timedelta

from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Delivery, Lane

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
LEASE = ledger.Lease(worker="first", seconds=300)


def claimed(database: Database, *, now: datetime) -> list[Delivery]:
    with database.transaction() as session:
        lease = ledger.Lease(worker="second", seconds=300)
        return ledger.claim(session, Lane.BULK, lease=lease, limit=10, wanted={}, now=now)


def owe_and_claim(database: Database) -> None:
    with database.transaction() as session:
        ledger.enqueue(
            session,
            key="digest:1:1",
            kind="digest",
            lane=Lane.BULK,
            recipient="ada@example.org",
            subscriber_id=None,
            subject_id="1",
            message_domain="example.org",
            now=NOW,
        )
        assert ledger.claim(session, Lane.BULK, lease=LEASE, limit=10, wanted={}, now=NOW)


def test_a_lease_that_is_renewed_keeps_others_out_for_as_long_again(database: Database) -> None:
    owe_and_claim(database)

    with database.transaction() as session:
        ledger.renew(session, workers={"first"}, until=NOW + timedelta(seconds=500))

    assert claimed(database, now=NOW + timedelta(seconds=499)) == []
    assert [row.claimed_by for row in claimed(database, now=NOW + timedelta(seconds=500))] == ["second"]


def test_renewing_does_not_bring_back_what_somebody_else_has_claimed(database: Database) -> None:
    owe_and_claim(database)
    assert claimed(database, now=NOW + timedelta(seconds=300))

    with database.transaction() as session:
        ledger.renew(session, workers={"first"}, until=NOW + timedelta(days=1))

    assert claimed(database, now=NOW + timedelta(seconds=600))
