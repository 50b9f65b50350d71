"""Pausing, resuming and cancelling an issue, also by many at once and beside senders that claim."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update

from newsletter_svc.audit import Event, SecurityEvent
from newsletter_svc.db import Database
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Lane, Mailing, MailingState, Status
from newsletter_svc.digests import steering
from newsletter_svc.parts import Parts

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
DIGEST = 7
AT_ONCE = 100


def owe(database: Database, *statuses: Status) -> None:
    """An issue with a delivery in each of these states."""
    with database.transaction() as session:
        mailing_id = mailings.begin(session, kind="digest", subject_id=str(DIGEST), now=NOW)
        for number, status in enumerate(statuses):
            session.add(
                Delivery(
                    key=f"digest:{DIGEST}:{number}",
                    kind="digest",
                    lane=Lane.BULK,
                    mailing_id=mailing_id,
                    subject_id=str(DIGEST),
                    recipient=f"reader{number}@example.org",
                    message_id=f"<{number}@news.example>",
                    status=status,
                    due_at=NOW,
                    created_at=NOW,
                )
            )


def statuses(database: Database) -> Counter[Status]:
    with database.reading() as session:
        return Counter(session.scalars(select(Delivery.status)))


def state(database: Database) -> MailingState:
    with database.reading() as session:
        return session.scalars(select(Mailing.state)).one()


def events(database: Database) -> list[tuple[Event, str | None]]:
    with database.reading() as session:
        return [
            (each.event, each.subject) for each in session.scalars(select(SecurityEvent).order_by(SecurityEvent.id))
        ]


def test_each_change_stands_in_the_trail_once(database: Database) -> None:
    owe(database, Status.PENDING)

    done = [
        verb(database, DIGEST, now=NOW) for verb in (steering.pause, steering.resume, steering.cancel) for _ in range(2)
    ]

    assert done == [True, False] * 3
    subject = f"digest:{DIGEST}"
    assert events(database) == [
        (Event.DIGEST_PAUSED, subject),
        (Event.DIGEST_RESUMED, subject),
        (Event.DIGEST_CANCELLED, subject),
    ]


def test_of_a_hundred_resumes_at_once_one_does_it(database: Database, database_url: str) -> None:
    owe(database, Status.PENDING)
    steering.pause(database, DIGEST, now=NOW)
    others = [Database(database_url) for _ in range(10)]
    begin = threading.Barrier(len(others))

    def resume(own: Database) -> int:
        begin.wait()
        return sum(steering.resume(own, DIGEST, now=NOW) for _ in range(AT_ONCE // len(others)))

    with ThreadPoolExecutor(len(others)) as pool:
        done = list(pool.map(resume, others))
    for each in others:
        each.dispose()

    assert sum(done) == 1
    assert state(database) == MailingState.ACTIVE
    assert [event for event, _ in events(database)] == [Event.DIGEST_PAUSED, Event.DIGEST_RESUMED]


def test_cancelling_goes_in_steps_and_one_that_was_cut_short_is_finished_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailings, "CHUNK", 2)
    owe(database, *[Status.PENDING] * 4, Status.RETRY, Status.CLAIMED, Status.UNKNOWN, Status.SENT, Status.FAILED)
    with database.transaction() as session:
        mailings.cancel(session, session.scalars(select(Mailing.id)).one())

    assert not steering.cancel(database, DIGEST, now=NOW)

    assert statuses(database) == {
        Status.CANCELLED: 5,
        Status.CLAIMED: 1,
        Status.UNKNOWN: 1,
        Status.SENT: 1,
        Status.FAILED: 1,
    }


def test_an_issue_whose_last_mail_has_gone_is_not_paused(database: Database) -> None:
    owe(database, Status.SENT, Status.FAILED)

    assert not steering.pause(database, DIGEST, now=NOW)
    assert not steering.cancel(database, DIGEST, now=NOW)
    assert state(database) == MailingState.DONE


def test_an_issue_from_before_there_were_mailings_has_nothing_to_steer(database: Database) -> None:
    assert not steering.pause(database, DIGEST, now=NOW)
    assert not steering.resume(database, DIGEST, now=NOW)
    assert not steering.cancel(database, DIGEST, now=NOW)
    assert events(database) == []


def test_what_a_sender_claims_at_the_same_moment_is_not_called_cancelled(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, so no two of them meet at a row")
    owe(database, *[Status.PENDING] * 3)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            session.execute(update(Delivery).values(status=Status.CLAIMED, claimed_by="sender"))
            cancelling = pool.submit(steering.cancel, database, DIGEST, now=NOW)
            wait_until_somebody_waits_for_a_row(database)
        assert cancelling.result()

    assert statuses(database) == {Status.CLAIMED: 3}


def wait_until_somebody_waits_for_a_row(database: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with database.reading() as session:
            if session.scalar(waiting):
                return
    pytest.fail("nobody waits for a row")


def test_what_a_sender_gives_back_to_a_cancelled_issue_is_ended_by_the_next_care(parts: Parts) -> None:
    owe(parts.database, Status.PENDING, Status.CLAIMED)
    steering.cancel(parts.database, DIGEST, now=NOW)
    with parts.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.status == Status.CLAIMED).values(status=Status.PENDING))

    parts.sender.claims.recover()

    assert statuses(parts.database) == {Status.CANCELLED: 2}
