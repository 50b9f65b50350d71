"""`newsletter audit`, `purge`, and the alerts of `digest status`: what operators read, and what cron throws away."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from newsletter_svc import alerts, audit
from newsletter_svc.alerts import Cause
from newsletter_svc.audit import Event, SecurityEvent
from newsletter_svc.auth import purging
from newsletter_svc.auth.models import BrowserSession, Door, MagicLink
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base, Database
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.limits.counters import SessionStorage
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers.models import Subscriber
from tests.factories import ask_for_link, make_reader, owe_single

DAY = timedelta(days=1)


def run(parts: Parts, *arguments: str) -> Result:
    with capture_logs():
        return CliRunner().invoke(newsletter, arguments, obj=Program(lambda: parts.settings, lambda _: parts))


def purged(parts: Parts) -> dict[str, int]:
    result = run(parts, "purge", "--json")
    assert result.exit_code == 0, result.output
    counts: dict[str, int] = json.loads(result.stdout)
    return {what: count for what, count in counts.items() if count}


def count(database: Database, table: type[Base]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def emails(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(Subscriber.email)))


def test_audit_prints_one_subscribers_trail(parts: Parts, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        ada = make_reader(session, "ada@example.org", now=now)
        audit.record(session, Event.ASKED, reason="sign_in", subscriber_id=ada.id, subject="link:" + "a" * 32, now=now)
        audit.record(session, Event.REDEEMED, subscriber_id=ada.id, peer="0123456789abcdef", now=now)
        audit.record(session, Event.ASKED, now=now)

    shown = run(parts, "audit", "Ada@example.org")
    at = now.isoformat(timespec="seconds")
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["at", "event", "reason", "subject", "peer"],
        [at, "asked", "sign_in", "link:" + "a" * 32, "-"],
        [at, "redeemed", "-", "-", "0123456789abcdef"],
    ]

    first, second = json.loads(run(parts, "audit", "ada@example.org", "--json").stdout)
    assert (first["event"], first["reason"], first["peer"]) == ("asked", "sign_in", None)
    assert (second["event"], second["peer"]) == ("redeemed", "0123456789abcdef")


def test_audit_says_when_there_is_nothing_and_when_there_is_nobody(parts: Parts, database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=utcnow())

    assert run(parts, "audit", "ada@example.org").stdout == "Nothing is on record.\n"
    for email, said in (("bob@example.org", "no subscriber"), ("bob", "does not look like")):
        result = run(parts, "audit", email)
        assert result.exit_code == 1
        assert said in result.output


def test_purge_says_what_it_did(parts: Parts) -> None:
    ask_for_link(parts, "ada@example.org", door=Door.SUBSCRIBE, now=utcnow() - 8 * DAY)

    assert run(parts, "purge").stdout.splitlines() == [
        "Unconfirmed signups: 1",
        "Magic links: 0",
        "Address changes: 0",
        "Sessions: 0",
        "Consents: 0",
        "Security events: 0",
        "Deliveries: 0",
        "Bounces: 0",
        "Rate counters: 0",
        "Billing updates: 0",
        "Stripe events: 0",
    ]
    assert purged(parts) == {}


def test_a_sign_up_that_nobody_confirmed_is_gone_after_seven_days_with_every_trace(
    parts: Parts, database: Database
) -> None:
    ask_for_link(parts, "old@example.org", door=Door.SUBSCRIBE, now=utcnow() - 7.1 * DAY)
    ask_for_link(parts, "new@example.org", door=Door.SUBSCRIBE, now=utcnow() - 6.9 * DAY)
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=utcnow() - 100 * DAY)

    assert purged(parts) == {"unconfirmed_signups": 1}

    assert emails(database) == {"new@example.org", "ada@example.org"}
    with database.reading() as session:
        assert session.scalars(select(Delivery.recipient)).all() == ["new@example.org"]
        assert session.scalars(select(SecurityEvent.subscriber_id)).all().count(None) == 1
    assert count(database, MagicLink) == 1


def test_who_asked_again_lately_is_left_alone_while_the_link_lives(parts: Parts, database: Database) -> None:
    ask_for_link(parts, "ada@example.org", door=Door.SUBSCRIBE, now=utcnow() - 8 * DAY)
    ask_for_link(parts, "ada@example.org", door=Door.SUBSCRIBE, now=utcnow() - 1 * DAY)
    assert purged(parts) == {}
    assert emails(database) == {"ada@example.org"}


def test_more_sign_ups_than_fit_into_a_batch_are_all_purged(
    parts: Parts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    for number in range(5):
        ask_for_link(parts, f"r{number}@example.org", door=Door.SUBSCRIBE, now=utcnow() - 8 * DAY)
    assert purged(parts) == {"unconfirmed_signups": 5}
    assert emails(database) == set()


def test_links_go_a_week_after_their_death(parts: Parts, database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=utcnow() - 100 * DAY)
    for days_ago in (1, 8, 10):
        ask_for_link(parts, "ada@example.org", door=Door.SUBSCRIBE, now=utcnow() - days_ago * DAY)
    with database.transaction() as session:
        session.execute(update(MagicLink).values(expires_at=MagicLink.created_at))

    assert purged(parts) == {"magic_links": 2}


def test_sessions_go_a_day_after_their_end(parts: Parts, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        ada = make_reader(session, "ada@example.org", now=now)
        for name, expires, revoked in (
            ("living", now + DAY, None),
            ("just expired", now - 0.9 * DAY, None),
            ("long expired", now - 1.1 * DAY, None),
            ("just ended", now + DAY, now - 0.9 * DAY),
            ("long ended", now + DAY, now - 1.1 * DAY),
        ):
            moments = {"created_at": now, "last_seen_at": now, "expires_at": expires, "revoked_at": revoked}
            session.add(BrowserSession(secret_hash=name, subscriber_id=ada.id, browser=name, **moments))

    assert purged(parts) == {"sessions": 2}
    with database.reading() as session:
        assert set(session.scalars(select(BrowserSession.browser))) == {"living", "just expired", "just ended"}


def test_old_events_and_closed_counters_go(parts: Parts, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        for days in (179, 181):
            audit.record(session, Event.ASKED, now=now - days * DAY)
        SessionStorage(session).incr("closed", -1)
        SessionStorage(session).incr("open", 60)

    assert purged(parts) == {"security_events": 1, "rate_counters": 1}


def test_deliveries_go_after_the_days_that_are_set(parts: Parts, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        for days in (29, 31, 0):
            ended = {"status": Status.SENT, "due_at": now - days * DAY, "finished_at": now - days * DAY}
            delivery_id = owe_single(session, f"after{days}@example.org", now=now)
            session.execute(update(Delivery).where(Delivery.id == delivery_id).values(ended))

    assert purged(parts) == {}
    assert purged(replace(parts, settings=replace(parts.settings, delivery_retention_days=30))) == {"deliveries": 1}
    with database.reading() as session:
        assert set(session.scalars(select(Delivery.recipient))) == {"after29@example.org", "after0@example.org"}


def test_status_shows_alerts_with_and_without_an_issue(parts: Parts, database: Database) -> None:
    assert json.loads(run(parts, "digest", "status", "--json").stdout) == {"digest_id": None, "alerts": []}
    with database.transaction() as session:
        alerts.report(session, Cause.SENDER_REFUSED, detail="530", now=utcnow())

    lines = run(parts, "digest", "status").stdout.splitlines()
    assert lines[0] == "briefing: no issue has been made."
    assert lines[1].startswith("ALERT sender_refused: 1 x since ")
    assert "MAIL_USERNAME" in lines[1]
    (alert,) = json.loads(run(parts, "digest", "status", "--json").stdout)["alerts"]
    assert (alert["cause"], alert["count"]) == ("sender_refused", 1)
