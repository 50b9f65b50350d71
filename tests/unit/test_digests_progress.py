"""How far an issue has come: everybody is counted, and who is unsettled is named."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from newsletter_svc.db import Database
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Lane, Status
from newsletter_svc.digests.progress import anything_unfinished, progress

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
    )
    owe(database, {"status": Status.SENT}, digest_id=8)

    with database.reading() as session:
        found = progress(session, DIGEST)
        rows = session.scalars(select(Delivery.id).where(Delivery.subject_id == str(DIGEST))).all()

    assert found.total == sum(found.counts.values()) == len(rows) == 12
    assert set(found.counts) == set(Status)
    assert (found.settled, found.in_flight) == (8, 1)
    assert list(found.failures.items()) == [("5.1.1", 2), ("5.7.1", 1), ("unknown reason", 1)]
    assert [(each.status, each.recipient, each.reason, each.due_at) for each in found.unsettled] == [
        (Status.RETRY, "reader10@example.org", "4.2.1", SOON),
        (Status.UNKNOWN, "reader11@example.org", "no_reply", SOON),
    ]


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


def test_an_issue_without_readers_is_finished(database: Database) -> None:
    with database.reading() as session:
        assert progress(session, DIGEST).total == 0
        assert not anything_unfinished(session, DIGEST, now=NOW)
