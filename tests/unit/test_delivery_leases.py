"""Leases: a claim whose sender lives on stays its own, and one whose sender is gone comes back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import leases, ledger, mailings, marks
from newsletter_svc.delivery.claims import Claims
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Mailing, MailingState, Status
from newsletter_svc.settings import Settings
from tests.factories import owe_bulk, owe_single

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NOW = utcnow()


@pytest.fixture(params=Lane)
def mailing_id(request: pytest.FixtureRequest, database: Database) -> int | None:
    """What the one delivery of these tests belongs to."""
    with database.transaction() as session:
        if request.param is Lane.BULK:
            return owe_bulk(session, "ada@example.org", now=NOW)
        owe_single(session, "ada@example.org", now=NOW)
        return None


def claim(database: Database, worker: str, mailing_id: int | None) -> list[Claimed]:
    with database.transaction() as session:
        lease = ledger.Lease(worker=worker, seconds=300)
        return ledger.claim(session, mailing_id, lease=lease, limit=10, wanted={}, now=NOW)


def let_it_run_out(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Delivery).values(leased_until=LONG_AGO))


def release(database: Database) -> int:
    with database.transaction() as session:
        released = leases.release_expired(session, journalled=[], now=NOW)
    with database.reading() as session:
        assert not leases.any_expired(session, journalled=[], now=NOW)
    return released


def row(database: Database) -> Delivery:
    with database.reading() as session:
        return session.scalars(select(Delivery)).one()


def test_a_claim_is_its_owners_for_as_long_as_its_lease(database: Database, mailing_id: int | None) -> None:
    claim(database, "first", mailing_id)

    until = row(database).leased_until
    assert until is not None
    assert NOW <= until - timedelta(seconds=300) <= utcnow()
    assert release(database) == 0
    assert claim(database, "second", mailing_id) == []


def test_a_lease_that_is_renewed_keeps_others_out_for_as_long_again(database: Database, mailing_id: int | None) -> None:
    claim(database, "first", mailing_id)
    let_it_run_out(database)

    with database.transaction() as session:
        leases.renew(session, {"first": mailing_id}, seconds=500, now=NOW)

    until = row(database).leased_until
    assert until is not None
    assert NOW <= until - timedelta(seconds=500) <= utcnow()
    assert release(database) == 0
    assert claim(database, "second", mailing_id) == []


def test_what_a_dead_sender_held_comes_back_as_it_was(database: Database, mailing_id: int | None) -> None:
    claim(database, "first", mailing_id)
    let_it_run_out(database)

    assert claim(database, "second", mailing_id) == []
    assert release(database) == 1

    assert (row(database).status, row(database).claimed_by) == (Status.PENDING, None)
    (again,) = claim(database, "second", mailing_id)
    assert (again.claimed_by, again.attempts) == ("second", 1)


def test_a_resend_that_a_dead_sender_held_is_still_unknown(database: Database, mailing_id: int | None) -> None:
    (first,) = claim(database, "first", mailing_id)
    with database.transaction() as session:
        marks.unknown(session, first, resend_at=NOW)
    (resend,) = claim(database, "second", mailing_id)
    assert resend.resends == 1
    let_it_run_out(database)

    assert release(database) == 1

    assert (row(database).status, row(database).resends) == (Status.UNKNOWN, 0)


def test_renewing_does_not_bring_back_what_somebody_else_has_claimed(
    database: Database, mailing_id: int | None
) -> None:
    claim(database, "first", mailing_id)
    let_it_run_out(database)
    release(database)
    claim(database, "second", mailing_id)
    let_it_run_out(database)

    with database.transaction() as session:
        leases.renew(session, {"first": mailing_id}, seconds=86_400, now=NOW)

    assert release(database) == 1


@pytest.mark.parametrize("change", [mailings.pause, mailings.cancel])
def test_what_was_held_of_a_mailing_that_does_not_go_on_comes_back_too(database: Database, change: object) -> None:
    with database.transaction() as session:
        mailing_id = owe_bulk(session, "ada@example.org", now=NOW)
    claim(database, "first", mailing_id)
    with database.transaction() as session:
        assert change(session, mailing_id)  # type: ignore[operator]
    let_it_run_out(database)

    assert release(database) == 1


def test_a_mailing_that_two_senders_ended_together_is_closed_by_whoever_takes_care(
    settings: Settings, database: Database
) -> None:
    with database.transaction() as session:
        mailing_id = owe_bulk(session, "ada@example.org", "bob@example.org", now=NOW)
        waiting = owe_bulk(session, "eve@example.org", now=NOW, subject_id="2")
    claims = Claims(database, settings, wanted={}, now=lambda: NOW)
    first, second = claims.begin(mailing_id, limit=1), claims.begin(mailing_id, limit=1)
    assert first is not None
    assert second is not None
    for claim in (first, second):
        with database.transaction() as session:
            marks.all_sent(session, [(row, "250 ok") for row in claim.deliveries], now=NOW)
        claims.end(claim, done=True)
    claims.recover()
    with database.reading() as session:
        assert session.get_one(Mailing, mailing_id).state == MailingState.DONE
        assert session.get_one(Mailing, waiting).state == MailingState.ACTIVE
