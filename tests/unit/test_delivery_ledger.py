"""The ledger: who gets which delivery, for how long, and who may say how it ended."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import leases, ledger, marks, suppressions
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Status
from tests.factories import owe_bulk, owe_single

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECONDS = 300


def owe(
    database: Database,
    recipients: Iterable[str] = ("ada@example.org",),
    *,
    kind: str = "digest",
    due_at: datetime = NOW,
    expires_at: datetime | None = None,
) -> list[int]:
    """Mails that somebody waits for; return the ids of the deliveries."""
    with database.transaction() as session:
        return [owe_single(session, each, now=due_at, kind=kind, expires_at=expires_at) for each in recipients]


def owe_mailing(database: Database, recipients: Iterable[str], *, subject_id: str = "1", due_at: datetime = NOW) -> int:
    with database.transaction() as session:
        return owe_bulk(session, *recipients, now=due_at, kind="digest", subject_id=subject_id)


@dataclass(frozen=True)
class Wants:
    """A feature whose readers still want these deliveries only."""

    ids: frozenset[int]

    def __call__(self, session: Session, deliveries: Sequence[Claimed], *, now: datetime) -> set[int]:
        return {delivery.id for delivery in deliveries} & self.ids


def claim(
    database: Database,
    worker: str = "first",
    *,
    mailing_id: int | None = None,
    limit: int = 100,
    now: datetime = NOW,
    wanted: dict[str, ledger.StillWanted] | None = None,
) -> list[Claimed]:
    with database.transaction() as session:
        lease = ledger.Lease(worker=worker, seconds=SECONDS)
        return ledger.claim(session, mailing_id, lease=lease, limit=limit, wanted=wanted or {}, now=now)


def rows(database: Database) -> dict[str, Delivery]:
    with database.reading() as session:
        return {row.recipient: row for row in session.scalars(select(Delivery))}


def readers(count: int) -> list[str]:
    return [f"reader{number}@example.org" for number in range(count)]


def test_the_same_message_is_owed_once(database: Database) -> None:
    owe(database)
    with pytest.raises(IntegrityError):
        owe(database)
    assert len(rows(database)) == 1


def test_a_message_id_is_fixed_when_the_message_is_owed_and_names_nobody(database: Database) -> None:
    owe(database, readers(3))
    ids = {row.message_id for row in rows(database).values()}
    assert len(ids) == 3
    assert all(each.startswith("<") and each.endswith("@news.example>") and "reader" not in each for each in ids)


def test_what_is_due_first_goes_first(database: Database) -> None:
    owe(database, ["late@example.org"], due_at=NOW)
    owe(database, ["early@example.org"], due_at=NOW - MINUTE)
    assert [row.recipient for row in claim(database, limit=1)] == ["early@example.org"]
    assert [row.recipient for row in claim(database, limit=1)] == ["late@example.org"]


def test_nothing_is_taken_before_it_is_due(database: Database) -> None:
    owe(database, due_at=NOW + MINUTE)
    assert claim(database) == []
    with database.reading() as session:
        assert not ledger.anything_due(session, None, now=NOW)
        assert ledger.anything_due(session, None, now=NOW + MINUTE)
    assert len(claim(database, now=NOW + MINUTE)) == 1


def test_each_mailing_is_taken_by_itself_and_so_is_what_somebody_waits_for(database: Database) -> None:
    first, second = (
        owe_mailing(database, [f"reader-of-{subject}@example.org"], subject_id=subject) for subject in ("1", "2")
    )
    owe(database, ["sign-in@example.org"], kind="sign_in")
    for mailing_id, recipient in (
        (None, "sign-in@example.org"),
        (second, "reader-of-2@example.org"),
        (first, "reader-of-1@example.org"),
    ):
        with database.reading() as session:
            assert ledger.anything_due(session, mailing_id, now=NOW)
        assert [row.recipient for row in claim(database, mailing_id=mailing_id)] == [recipient]
        with database.reading() as session:
            assert not ledger.anything_due(session, mailing_id, now=NOW)


def test_what_was_tried_before_goes_before_what_was_not(database: Database) -> None:
    mailing_id = owe_mailing(database, ["ada@example.org", "bob@example.org"], due_at=NOW - MINUTE)
    ada, bob = claim(database, mailing_id=mailing_id)
    with database.transaction() as session:
        marks.unknown(session, ada, resend_at=NOW)
        marks.retry(session, bob, reason="4.2.0", reply="450", due_at=NOW)
    owe_mailing(database, ["cora@example.org"], due_at=NOW - MINUTE)
    taken = [claim(database, f"worker{number}", mailing_id=mailing_id, limit=1) for number in range(4)]
    assert [[row.recipient for row in batch] for batch in taken] == [
        ["bob@example.org"], ["ada@example.org"], ["cora@example.org"], [],
    ]  # fmt: skip


def test_a_claim_takes_no_more_than_it_was_asked_for(database: Database) -> None:
    owe(database, readers(10))
    assert [len(claim(database, f"worker{number}", limit=4)) for number in range(4)] == [4, 4, 2, 0]


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("lane", Lane)
def test_claims_at_the_same_time_never_overlap(database: Database, lane: Lane, workers: int) -> None:
    mailing_id = owe_mailing(database, readers(100)) if lane is Lane.BULK else None
    if mailing_id is None:
        owe(database, readers(100))
    gate = Barrier(workers)

    def take_all(number: int) -> list[int]:
        gate.wait()
        taken: list[int] = []
        while batch := claim(database, f"worker{number}", mailing_id=mailing_id, limit=3):
            taken += [row.id for row in batch]
        return taken

    with ThreadPoolExecutor(workers) as pool:
        taken = [delivery for batch in pool.map(take_all, range(workers)) for delivery in batch]
    # On PostgreSQL a worker passes over rows that another one holds, and may end early: what is left is still due.
    taken += [row.id for row in claim(database, "last", mailing_id=mailing_id)]
    assert sorted(taken) == sorted(row.id for row in rows(database).values())
    assert {row.attempts for row in rows(database).values()} == {1}


def test_who_overslept_the_lease_marks_nothing(database: Database) -> None:
    owe(database)
    [mine] = claim(database, "first")
    with database.transaction() as session:
        session.execute(update(Delivery).values(leased_until=NOW - timedelta(days=9000)))
        assert leases.release_expired(session, journalled=[], now=NOW) == 1
    assert claim(database, "second")
    before = vars(rows(database)["ada@example.org"]).copy()
    with database.transaction() as session:
        assert not marks.sent(session, mine, reply="250 ok", now=NOW)
        assert not marks.all_sent(session, [(mine, "250 ok")], now=NOW)
        assert not marks.failed(session, mine, reason="5.1.1", reply="550", now=NOW)
        assert not marks.retry(session, mine, reason="4.2.0", reply="450", due_at=NOW)
        assert not marks.unknown(session, mine, resend_at=NOW)
        marks.postpone(session, [mine], reason="server_unavailable", reply=None, due_at=NOW)
        marks.give_back(session, [mine])
    after = vars(rows(database)["ada@example.org"]).copy()
    del before["_sa_instance_state"], after["_sa_instance_state"]
    assert after == before
    assert (after["status"], after["claimed_by"], after["reply"]) == (Status.CLAIMED, "second", None)


def test_many_that_were_accepted_are_marked_at_once_each_with_its_own_reply(database: Database) -> None:
    mailing_id = owe_mailing(database, readers(5))
    batch = claim(database, "first", mailing_id=mailing_id, limit=2)
    batch += claim(database, "second", mailing_id=mailing_id, limit=2)
    replies = {row.recipient: f"250 2.0.0 Ok: “{row.recipient}” 'queued'" for row in batch}
    with database.transaction() as session:
        assert marks.all_sent(session, [(row, replies[row.recipient]) for row in batch], now=NOW) == 4
        assert marks.all_sent(session, [(row, "250 twice") for row in batch], now=NOW) == 0
        assert marks.all_sent(session, [], now=NOW) == 0
    sent = {row.recipient: row for row in rows(database).values() if row.status == Status.SENT}
    assert {recipient: row.reply for recipient, row in sent.items()} == replies
    assert {(row.finished_at, row.claimed_by, row.leased_until) for row in sent.values()} == {(NOW, None, None)}
    assert [row.recipient for row in claim(database, "last", mailing_id=mailing_id)] == ["reader4@example.org"]


def test_what_is_marked_stays_marked(database: Database) -> None:
    owe(database)
    [mine] = claim(database)
    with database.transaction() as session:
        assert marks.sent(session, mine, reply="250 2.0.0 Ok: queued as 4F1", now=NOW)
        assert not marks.failed(session, mine, reason="5.1.1", reply="550", now=NOW)
    [row] = rows(database).values()
    assert (row.status, row.reply, row.finished_at) == (Status.SENT, "250 2.0.0 Ok: queued as 4F1", NOW)
    assert (row.claimed_by, row.leased_until) == (None, None)
    assert claim(database, now=NOW + timedelta(days=365)) == []


def test_a_retry_waits_for_its_time(database: Database) -> None:
    owe(database)
    [mine] = claim(database)
    with database.transaction() as session:
        marks.retry(session, mine, reason="4.2.0", reply="450 4.2.0 later", due_at=NOW + 30 * MINUTE)
    assert claim(database, now=NOW + 29 * MINUTE) == []
    [again] = claim(database, now=NOW + 30 * MINUTE)
    assert (again.attempts, again.message_id) == (2, mine.message_id)


def test_an_attempt_that_never_was_is_not_counted(database: Database) -> None:
    owe(database)
    [mine] = claim(database)
    with database.transaction() as session:
        marks.postpone(session, [mine], reason="server_unavailable", reply=None, due_at=NOW)
    [again] = claim(database)
    assert again.attempts == 1


def test_what_is_given_back_is_as_it_was_before_the_claim(database: Database) -> None:
    owe(database)
    before = vars(rows(database)["ada@example.org"]).copy()
    [mine] = claim(database)
    with database.transaction() as session:
        marks.give_back(session, [mine])
    after = vars(rows(database)["ada@example.org"]).copy()
    del before["_sa_instance_state"], after["_sa_instance_state"]
    assert after == before


def test_what_was_never_answered_is_sent_once_more_and_then_left_to_the_operator(database: Database) -> None:
    owe(database)
    [mine] = claim(database)
    with database.transaction() as session:
        marks.unknown(session, mine, resend_at=NOW + 15 * MINUTE)
    assert claim(database, now=NOW + 14 * MINUTE) == []
    [again] = claim(database, now=NOW + 15 * MINUTE)
    assert (again.message_id, again.resends) == (mine.message_id, 1)
    with database.transaction() as session:
        marks.unknown(session, again, resend_at=NOW + 30 * MINUTE)
    assert claim(database, now=NOW + timedelta(days=365)) == []
    assert rows(database)["ada@example.org"].status == Status.UNKNOWN


# Ended at the claim


def test_a_suppressed_address_gets_nothing_however_it_is_spelt(database: Database) -> None:
    mailing_id = owe_mailing(database, ["Ada.L@example.org", "bob@example.org"])
    with database.transaction() as session:
        suppressions.add(session, "ADA.l@example.org", reason="complaint", now=NOW)
    assert [row.recipient for row in claim(database, mailing_id=mailing_id)] == ["bob@example.org"]
    ended = rows(database)["Ada.L@example.org"]
    assert (ended.status, ended.reason, ended.finished_at) == (Status.SUPPRESSED, "suppressed", NOW)
    assert (ended.claimed_by, ended.leased_until) == (None, None)


def test_the_first_reason_of_a_suppression_stays(database: Database) -> None:
    for reason in ("complaint", "hard_bounce 5.1.1"):
        with database.transaction() as session:
            suppressions.add(session, "ada@example.org", reason=reason, now=NOW)
    with database.reading() as session:
        assert session.scalars(select(suppressions.Suppression.reason)).all() == ["complaint"]


def test_what_its_reader_does_not_want_any_more_is_cancelled(database: Database) -> None:
    first, _second = owe(database, ["ada@example.org", "bob@example.org"])
    taken = claim(database, wanted={"digest": Wants(frozenset({first}))})
    assert [row.recipient for row in taken] == ["ada@example.org"]
    ended = rows(database)["bob@example.org"]
    assert (ended.status, ended.reason) == (Status.CANCELLED, "not_wanted")


def test_a_feature_is_asked_about_its_own_kind_only(database: Database) -> None:
    owe(database, ["ada@example.org"], kind="digest")
    owe(database, ["bob@example.org"], kind="billing")
    nobody = Wants(frozenset())
    assert [row.recipient for row in claim(database, wanted={"digest": nobody})] == ["bob@example.org"]


def test_what_would_arrive_too_late_is_not_sent(database: Database) -> None:
    owe(database, expires_at=NOW + 20 * MINUTE)
    assert claim(database, now=NOW + 20 * MINUTE, wanted={"digest": Wants(frozenset())}) == []
    [ended] = rows(database).values()
    assert (ended.status, ended.reason) == (Status.FAILED, "expired")


def test_what_is_ended_at_the_claim_stands_in_nobodys_way(database: Database) -> None:
    mailing_id = owe_mailing(database, readers(30))
    with database.transaction() as session:
        for reader in readers(29):
            suppressions.add(session, reader, reason="complaint", now=NOW)
    assert [row.recipient for row in claim(database, mailing_id=mailing_id, limit=5)] == ["reader29@example.org"]


def test_every_delivery_has_exactly_one_state(database: Database) -> None:
    owe(database, readers(8))
    batch = claim(database, limit=7)
    with database.transaction() as session:
        marks.sent(session, batch[0], reply="250", now=NOW)
        marks.failed(session, batch[1], reason="5.1.1", reply="550", now=NOW)
        marks.retry(session, batch[2], reason="4.2.0", reply="450", due_at=NOW)
        marks.unknown(session, batch[3], resend_at=NOW)
        marks.give_back(session, [batch[4]])
        session.execute(update(Delivery).where(Delivery.id == batch[5].id).values(status=Status.SUPPRESSED))
        session.execute(update(Delivery).where(Delivery.id == batch[6].id).values(status=Status.CANCELLED))
    assert sorted(row.status for row in rows(database).values()) == sorted(
        [*(set(Status) - {Status.CLAIMED, Status.PENDING}), Status.PENDING, Status.PENDING]
    )
