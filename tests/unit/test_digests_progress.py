"""How far an issue has come: everybody is counted, and who is unsettled is named."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from newsletter_svc.db import Database
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Lane, Mailing, MailingState, Status
from newsletter_svc.digests.progress import anything_unfinished, progress, report

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=30)
DIGEST = 7


def owe(database: Database, *rows: dict[str, object], digest_id: int = DIGEST) -> None:
    with database.transaction() as session:
        mailing_id = mailings.begin(session, kind="digest", subject_id=str(digest_id), now=NOW)
        for number, row in enumerate(rows):
            values = {
                "mailing_id": mailing_id,
                "key": f"digest:{digest_id}:{number}",
                "kind": "digest",
                "lane": Lane.BULK,
                "subject_id": str(digest_id),
                "recipient": f"reader{number}@example.org",
                "message_id": f"<{digest_id}.{number}@news.example>",
                "due_at": NOW,
                "created_at": NOW,
            }
            session.add(Delivery(**{**values, **row}))


def test_the_counts_add_up_and_the_unsettled_are_named(database: Database) -> None:
    owe(
        database,
        {"status": Status.SENT},
        {"status": Status.SENT},
        {"status": Status.FAILED, "reason": "5.1.1"},
        {"status": Status.FAILED, "reason": "5.7.1"},
        {"status": Status.FAILED, "reason": "5.1.1"},
        {"status": Status.FAILED},
        {"status": Status.SUPPRESSED},
        {"status": Status.CANCELLED},
        {"status": Status.PENDING},
        {"status": Status.CLAIMED},
        {"status": Status.RETRY, "reason": "4.2.1", "due_at": SOON},
        {"status": Status.UNKNOWN, "reason": "no_reply", "due_at": SOON},
        {"status": Status.UNKNOWN, "reason": "no_reply", "due_at": NOW, "resends": 1},
    )
    owe(database, {"status": Status.SENT}, digest_id=8)

    with database.reading() as session:
        found = report(session, DIGEST, now=NOW)
        counted = progress(session, DIGEST, now=NOW)
        rows = session.scalars(select(Delivery.id).where(Delivery.subject_id == str(DIGEST))).all()

    assert found.progress == counted
    assert counted.total == sum(counted.counts.values()) == len(rows) == 13
    assert set(counted.counts) == set(Status)
    assert (counted.settled, counted.in_flight, counted.to_send, counted.unsettled) == (8, 1, 2, 3)
    assert list(found.failures.items()) == [("5.1.1", 2), ("5.7.1", 1), ("unknown reason", 1)]
    assert [(each.status, each.recipient, each.reason, each.due_at) for each in found.unsettled] == [
        (Status.RETRY, "reader10@example.org", "4.2.1", SOON),
        (Status.UNKNOWN, "reader12@example.org", "no_reply", None),
        (Status.UNKNOWN, "reader11@example.org", "no_reply", SOON),
    ]


@pytest.mark.parametrize(
    ("state", "statuses", "shown"),
    [
        (MailingState.ACTIVE, [Status.SENT, Status.PENDING], MailingState.ACTIVE),
        (MailingState.ACTIVE, [Status.SENT, Status.RETRY], MailingState.ACTIVE),
        (MailingState.ACTIVE, [Status.SENT, Status.FAILED], MailingState.DONE),
        (MailingState.PAUSED, [Status.SENT], MailingState.PAUSED),
        (MailingState.CANCELLED, [Status.CANCELLED], MailingState.CANCELLED),
    ],
)
def test_an_issue_is_done_as_soon_as_nothing_of_it_is_open(
    database: Database, state: MailingState, statuses: list[Status], shown: MailingState
) -> None:
    owe(database, *({"status": status} for status in statuses))
    become(database, state=state)

    with database.reading() as session:
        assert progress(session, DIGEST, now=NOW).state == shown


def test_the_time_left_is_told_while_somebody_sends(database: Database) -> None:
    owe(database, *[{"status": Status.PENDING}] * 6, {"status": Status.SENT})
    become(database, rate=3.0, counting_since=NOW)

    with database.reading() as session:
        now, later = (progress(session, DIGEST, now=moment) for moment in (NOW, SOON))
    become(database, state=MailingState.PAUSED)
    with database.reading() as session:
        paused = progress(session, DIGEST, now=NOW)

    assert (now.rate, now.seconds_left) == (3.0, 2.0)
    assert (later.rate, later.seconds_left) == (None, None)
    assert paused.seconds_left is None


@pytest.mark.parametrize(
    ("row", "unfinished"),
    [
        ({"status": Status.PENDING}, True),
        ({"status": Status.CLAIMED}, True),
        ({"status": Status.RETRY}, True),
        ({"status": Status.RETRY, "due_at": SOON}, False),
        ({"status": Status.UNKNOWN}, True),
        ({"status": Status.UNKNOWN, "resends": 1}, False),
        ({"status": Status.UNKNOWN, "due_at": SOON}, False),
        ({"status": Status.SENT}, False),
        ({"status": Status.FAILED}, False),
        ({"status": Status.CANCELLED}, False),
        ({"status": Status.SUPPRESSED}, False),
    ],
)
def test_an_issue_is_unfinished_while_a_sender_has_or_could_take_something(
    database: Database, row: dict[str, object], unfinished: bool
) -> None:
    owe(database, row)
    owe(database, {"status": Status.PENDING}, digest_id=8)

    with database.reading() as session:
        assert anything_unfinished(session, DIGEST, now=NOW) is unfinished


@pytest.mark.parametrize("state", [MailingState.PAUSED, MailingState.CANCELLED])
@pytest.mark.parametrize(
    ("row", "unfinished"),
    [
        ({"status": Status.CLAIMED, "leased_until": SOON}, True),
        ({"status": Status.CLAIMED, "leased_until": NOW}, False),
        ({"status": Status.PENDING}, False),
        ({"status": Status.RETRY}, False),
        ({"status": Status.UNKNOWN}, False),
    ],
)
def test_an_issue_that_is_held_is_unfinished_while_some_of_it_is_in_flight(
    database: Database, state: MailingState, row: dict[str, object], unfinished: bool
) -> None:
    owe(database, row)
    become(database, state=state)

    with database.reading() as session:
        assert anything_unfinished(session, DIGEST, now=NOW) is unfinished


def test_an_issue_without_readers_is_done(database: Database) -> None:
    owe(database)
    with database.reading() as session:
        for digest_id in (DIGEST, 8):  # There is a mailing for the first alone.
            found = progress(session, digest_id, now=NOW)
            assert (found.total, found.state) == (0, MailingState.DONE)
            assert not anything_unfinished(session, digest_id, now=NOW)


def become(database: Database, **values: object) -> None:
    """Let the mailing of the issue be so."""
    with database.transaction() as session:
        session.execute(update(Mailing).where(Mailing.subject_id == str(DIGEST)).values(**values))
