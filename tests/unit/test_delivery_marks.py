"""Marks of many deliveries at once: each gets its own reply, and only the claim's owner may mark."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger, marks
from newsletter_svc.delivery.models import Claimed, Delivery, Status
from tests.factories import owe_bulk

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
REPLIES = ["250 2.0.0 Ok: queued as 4F1", '250 "quoted" \\ back', "250 grüß dich 💌", "250 a'b; --", "250 "]


@pytest.fixture
def claimed(database: Database) -> list[Claimed]:
    addresses = [f"reader{number}@example.org" for number in range(len(REPLIES))]
    with database.transaction() as session:
        mailing_id = owe_bulk(session, *addresses, now=NOW)
    lease = ledger.Lease(worker="mine", seconds=300)
    with database.transaction() as session:
        return ledger.claim(session, mailing_id, lease=lease, limit=10, wanted={}, now=NOW)


def rows(database: Database) -> list[Delivery]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def test_each_delivery_gets_its_own_reply(database: Database, claimed: list[Claimed]) -> None:
    with database.transaction() as session:
        assert marks.all_sent(session, list(zip(claimed, REPLIES, strict=True)), now=NOW) == len(REPLIES)
    assert [row.reply for row in rows(database)] == REPLIES
    for row in rows(database):
        assert (row.status, row.finished_at, row.claimed_by, row.leased_until) == (Status.SENT, NOW, None, None)


def test_only_the_owner_of_a_claim_marks(database: Database, claimed: list[Claimed]) -> None:
    lost = [row._replace(claimed_by="somebody else") for row in claimed[1:]]
    with database.transaction() as session:
        accepted = [(row, "250 ok") for row in (claimed[0], *lost)]
        assert marks.all_sent(session, accepted, now=NOW) == 1
        marks.give_back(session, lost)
        marks.postpone(session, lost, reason="server_unavailable", reply=None, due_at=NOW)
    assert [row.status for row in rows(database)] == [Status.SENT] + [Status.CLAIMED] * 4


def plans_of(session: Session, accepted: list[tuple[Claimed, str]]) -> str:
    """How the database means to mark these: what it says of the statement that it gets."""
    statements = []
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2:4]))
    marks.all_sent(session, accepted, now=NOW)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    lines = [
        row for words, values in list(statements) for row in connection.exec_driver_sql(f"{explain} {words}", values)
    ]
    return "\n".join(map(str, lines))


def test_rows_of_a_new_issue_are_marked_by_the_index_and_none_is_looked_at_for_each_other(database: Database) -> None:
    # PostgreSQL has not seen them before: it guesses that a claim holds one row, and takes a loop in a loop for cheap.
    # Of fewer rows it rightly reads all.
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.transaction() as session:
        addresses = (f"reader{number}@example.org" for number in range(1_000 if is_sqlite else 10_000))
        mailing_id = owe_bulk(session, *addresses, now=NOW)
    with database.transaction() as session:
        lease = ledger.Lease(worker="mine", seconds=300)
        claimed = ledger.claim(session, mailing_id, lease=lease, limit=500, wanted={}, now=NOW)
        plans = plans_of(session, [(row, "250 ok") for row in claimed])
    assert "SEARCH deliveries USING INTEGER PRIMARY KEY" in plans if is_sqlite else "pk_deliveries" in plans, plans
    assert "SCAN deliveries" not in plans
    assert "Seq Scan on deliveries" not in plans
    assert "Nested Loop" not in plans


def test_nothing_to_mark_is_nothing_to_do(database: Database) -> None:
    with database.transaction() as session:
        assert marks.all_sent(session, [], now=NOW) == 0


def test_what_was_not_touched_is_as_before_and_what_may_have_arrived_stays_unknown(
    database: Database, claimed: list[Claimed]
) -> None:
    with database.transaction() as session:
        marks.unknown(session, claimed[0], resend_at=NOW)
        marks.give_back(session, claimed[1:])
    lease = ledger.Lease(worker="again", seconds=300)
    with database.transaction() as session:
        again = ledger.claim(session, claimed[0].mailing_id, lease=lease, limit=10, wanted={}, now=NOW)
        assert [(row.attempts, row.resends) for row in again] == [(2, 1)] + [(1, 0)] * 4
        marks.give_back(session, again[:3])
        marks.postpone(session, again[3:], reason="server_unavailable", reply="421", due_at=NOW + timedelta(hours=1))
    assert [(row.status, row.attempts, row.resends) for row in rows(database)] == [
        (Status.UNKNOWN, 1, 0),
        (Status.PENDING, 0, 0),
        (Status.PENDING, 0, 0),
        (Status.RETRY, 0, 0),
        (Status.RETRY, 0, 0),
    ]
