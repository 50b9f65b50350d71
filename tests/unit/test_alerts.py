"""Alerts: counted as one while they go on, over after an hour of quiet, and mailed once an hour."""

from datetime import UTC, datetime, timedelta

from newsletter_svc import alerts
from newsletter_svc.alerts import EXPLANATIONS, Cause, Current
from newsletter_svc.db import Database

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def report(database: Database, cause: Cause = Cause.SENDER_REFUSED, *, now: datetime) -> None:
    with database.transaction() as session:
        alerts.report(session, cause, detail="530 5.7.0 Authentication required", now=now)


def mailed(database: Database, *, now: datetime) -> list[Cause]:
    with database.transaction() as session:
        asked = alerts.any_to_mail(session, now=now)
        taken = list(alerts.take_to_mail(session, now=now))
    assert asked == bool(taken)
    return taken


def current(database: Database, *, now: datetime) -> list[Current]:
    with database.reading() as session:
        return list(alerts.current(session, now=now))


def test_every_cause_is_explained_to_the_operator() -> None:
    assert set(EXPLANATIONS) == set(Cause)


def test_an_alert_that_goes_on_is_one_alert(database: Database) -> None:
    for minute in range(3):
        report(database, now=NOW + minute * MINUTE)
    report(database, Cause.GLOBAL_LIMIT, now=NOW + 9 * MINUTE)

    assert current(database, now=NOW + 10 * MINUTE) == [
        Current(Cause.GLOBAL_LIMIT, NOW + 9 * MINUTE, NOW + 9 * MINUTE, 1),
        Current(Cause.SENDER_REFUSED, NOW, NOW + 2 * MINUTE, 3),
    ]


def test_after_an_hour_of_quiet_it_is_over_and_the_next_one_is_new(database: Database) -> None:
    report(database, now=NOW)
    assert current(database, now=NOW + 60 * MINUTE) == []

    report(database, now=NOW + 61 * MINUTE)

    assert current(database, now=NOW + 61 * MINUTE) == [
        Current(Cause.SENDER_REFUSED, NOW + 61 * MINUTE, NOW + 61 * MINUTE, 1)
    ]


def test_a_mail_goes_out_once_an_hour_and_cause(database: Database) -> None:
    report(database, now=NOW)
    assert mailed(database, now=NOW) == [Cause.SENDER_REFUSED]
    assert mailed(database, now=NOW + 1 * MINUTE) == []

    report(database, now=NOW + 2 * MINUTE)
    report(database, Cause.GLOBAL_LIMIT, now=NOW + 2 * MINUTE)
    assert mailed(database, now=NOW + 3 * MINUTE) == [Cause.GLOBAL_LIMIT]
    assert mailed(database, now=NOW + 60 * MINUTE) == [Cause.SENDER_REFUSED]


def test_no_mail_tells_twice_of_what_has_stopped(database: Database) -> None:
    report(database, now=NOW)
    assert mailed(database, now=NOW) == [Cause.SENDER_REFUSED]
    assert mailed(database, now=NOW + timedelta(days=1)) == []
