"""The audit trail: what it holds, and what it forgets."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from newsletter_svc import audit
from newsletter_svc.audit import Event, SecurityEvent
from newsletter_svc.db import Database
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import Keyring
from tests.conftest import KEY
from tests.factories import make_reader

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def test_a_trail_is_one_subscribers_and_in_the_order_of_time(database: Database) -> None:
    with database.transaction() as session:
        ada, bob = (make_reader(session, email, now=NOW).id for email in ("ada@example.org", "bob@example.org"))
        audit.record(session, Event.SENT, subscriber_id=ada, subject="delivery:1", now=NOW + timedelta(seconds=2))
        audit.record(session, Event.ASKED, reason="sign_in", subscriber_id=ada, subject="link:1", now=NOW)
        audit.record(session, Event.ASKED, subscriber_id=bob, now=NOW)

        found = audit.trail(session, ada)

    assert [(line.event, line.reason, line.subject) for line in found] == [
        (Event.ASKED, "sign_in", "link:1"),
        (Event.SENT, None, "delivery:1"),
    ]


def test_an_erased_subscriber_leaves_lines_that_name_nobody(database: Database) -> None:
    with database.transaction() as session:
        ada = make_reader(session, "ada@example.org", now=NOW)
        audit.record(session, Event.REDEEMED, subscriber_id=ada.id, now=NOW)
        session.execute(delete(Subscriber).where(Subscriber.id == ada.id))

    with database.reading() as session:
        assert [line.subscriber_id for line in session.scalars(select(SecurityEvent))] == [None]


def test_what_is_older_than_the_retention_is_forgotten(database: Database) -> None:
    with database.transaction() as session:
        for days in (179, 180, 181):
            audit.record(session, Event.ASKED, now=NOW - timedelta(days=days))

        assert audit.purge(session, retention=timedelta(days=180), now=NOW) == 1
        assert len(session.scalars(select(SecurityEvent)).all()) == 2


def test_a_peer_is_recognised_and_cannot_be_computed_without_the_key() -> None:
    ours, other = Keyring([KEY], environment="development"), Keyring([KEY[::-1]], environment="development")

    assert audit.hashed_peer(ours, "192.0.2.7") == audit.hashed_peer(ours, "192.0.2.7")
    assert audit.hashed_peer(ours, "192.0.2.7") != audit.hashed_peer(ours, "192.0.2.8")
    assert audit.hashed_peer(ours, "192.0.2.7") != audit.hashed_peer(other, "192.0.2.7")
