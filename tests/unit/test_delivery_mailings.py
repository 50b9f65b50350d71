"""Mailings: what can be paused, resumed and cancelled, and how fast it goes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from newsletter_svc.db import Database
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Lane, Mailing, MailingState, Status

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)


def begin(database: Database, *statuses: Status, resends: int = 0) -> int:
    """A mailing with a delivery in each of these states."""
    with database.transaction() as session:
        mailing_id = mailings.begin(session, kind="digest", subject_id="7", now=NOW)
        for number, status in enumerate(statuses):
            session.add(
                Delivery(
                    key=f"digest:7:{number}",
                    kind="digest",
                    lane=Lane.BULK,
                    mailing_id=mailing_id,
                    subject_id="7",
                    recipient=f"reader{number}@example.org",
                    message_id=f"<{number}@news.example>",
                    status=status,
                    resends=resends,
                    due_at=NOW,
                    created_at=NOW,
                )
            )
    return mailing_id


def state(database: Database, mailing_id: int) -> tuple[MailingState, str | None]:
    with database.reading() as session:
        mailing = session.get_one(Mailing, mailing_id)
        return mailing.state, mailing.reason


def statuses(database: Database) -> list[Status]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery.status).order_by(Delivery.id)))


def test_what_is_paused_is_not_active_until_it_is_resumed(database: Database) -> None:
    mailing_id = begin(database, Status.PENDING)
    with database.transaction() as session:
        assert mailings.pause(session, mailing_id, reason="552 too large")
        assert not mailings.pause(session, mailing_id, reason="again")
        assert mailings.active(session) == []
        assert mailings.inactive(session, [mailing_id]) == {mailing_id}
    assert state(database, mailing_id) == (MailingState.PAUSED, "552 too large")
    with database.transaction() as session:
        assert mailings.resume(session, mailing_id)
        assert not mailings.resume(session, mailing_id)
        assert mailings.active(session) == [mailing_id]
    assert state(database, mailing_id) == (MailingState.ACTIVE, None)


def test_cancelling_ends_what_is_owed_and_leaves_the_rest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailings, "CHUNK", 2)
    owed = [Status.PENDING, Status.PENDING, Status.RETRY]
    mailing_id = begin(database, *owed, Status.CLAIMED, Status.UNKNOWN, Status.SENT)
    with database.transaction() as session:
        assert mailings.end_cancelled(session, mailing_id, now=NOW) == 0  # Not before it is cancelled.
        assert mailings.cancel(session, mailing_id)
        assert not mailings.cancel(session, mailing_id)
        assert not mailings.resume(session, mailing_id)
        assert mailings.cancelled_with_rest(session) == [mailing_id]
        assert [mailings.end_cancelled(session, mailing_id, now=NOW) for _ in range(3)] == [2, 1, 0]
        assert mailings.cancelled_with_rest(session) == []
    assert statuses(database) == [Status.CANCELLED] * 3 + [Status.CLAIMED, Status.UNKNOWN, Status.SENT]


@pytest.mark.parametrize("waiting", [Status.PENDING, Status.CLAIMED, Status.RETRY, Status.UNKNOWN])
def test_a_mailing_is_not_done_while_something_of_it_will_be_tried(database: Database, waiting: Status) -> None:
    mailing_id = begin(database, Status.SENT, waiting)
    with database.transaction() as session:
        assert not mailings.close_finished(session, mailing_id)
    assert state(database, mailing_id)[0] == MailingState.ACTIVE


def test_a_mailing_is_done_when_the_rest_is_the_operators(database: Database) -> None:
    mailing_id = begin(database, Status.SENT, Status.FAILED, Status.UNKNOWN, resends=1)
    with database.transaction() as session:
        assert mailings.close_finished(session, mailing_id)
        assert not mailings.close_finished(session, mailing_id)
        assert not mailings.pause(session, mailing_id)
    assert state(database, mailing_id)[0] == MailingState.DONE


def test_the_rate_is_that_of_the_last_stretch_and_none_when_nobody_sends(database: Database) -> None:
    mailing_id = begin(database, Status.PENDING)
    with database.transaction() as session:
        for second in range(11):
            mailings.count_accepted(session, mailing_id, 100, now=NOW + timedelta(seconds=second))
        mailing = session.get_one(Mailing, mailing_id)
        assert mailings.rate_of(mailing, now=NOW + timedelta(seconds=11)) == pytest.approx(100)
        assert mailings.rate_of(mailing, now=NOW + timedelta(minutes=5)) is None
        # After a pause the time before does not count.
        mailings.count_accepted(session, mailing_id, 7, now=NOW + timedelta(minutes=5))
        mailings.count_accepted(session, mailing_id, 50, now=NOW + timedelta(minutes=5, seconds=5))
        assert mailings.rate_of(mailing, now=NOW + timedelta(minutes=5, seconds=5)) == pytest.approx(10)
