"""Subscriptions and the people behind them: confirming, leaving, coming back, and two who do it at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from newsletter_svc.db import Database
from newsletter_svc.subscribers import newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus

NOW = datetime(2026, 11, 24, 5, 37, 48, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
ADA = parse("ada@example.org")


@pytest.fixture
def ids(database: Database) -> tuple[int, int]:
    """Ada, whom nobody has confirmed, and the newsletter `briefing`."""
    with database.transaction() as session:
        return people.find_or_add(session, ADA, now=NOW).id, newsletters.get(session, "briefing").id


def standing(database: Database) -> Subscription | None:
    with database.reading() as session:
        return session.scalars(select(Subscription)).one_or_none()


def confirm(database: Database, ids: tuple[int, int], now: datetime) -> None:
    with database.transaction() as session:
        subscriptions.confirm(session, ids[0], [ids[1]], now=now)


def leave(database: Database, ids: tuple[int, int], now: datetime) -> None:
    with database.transaction() as session:
        subscriptions.leave(session, *ids, now=now)


def test_confirming_subscribes_from_now_on(database: Database, ids: tuple[int, int]) -> None:
    confirm(database, ids, NOW)
    found = standing(database)
    assert found is not None
    assert (found.status, found.created_at, found.confirmed_at) == (SubscriptionStatus.CONFIRMED, NOW, NOW)


def test_confirming_again_keeps_the_day_of_the_first_time(database: Database, ids: tuple[int, int]) -> None:
    confirm(database, ids, NOW)
    confirm(database, ids, LATER)
    found = standing(database)
    assert found is not None
    assert found.confirmed_at == NOW


def test_who_has_left_can_come_back(database: Database, ids: tuple[int, int]) -> None:
    confirm(database, ids, NOW)
    leave(database, ids, NOW + timedelta(days=1))
    left = standing(database)
    assert left is not None
    assert (left.status, left.unsubscribed_at) == (SubscriptionStatus.UNSUBSCRIBED, NOW + timedelta(days=1))
    confirm(database, ids, LATER)
    back = standing(database)
    assert back is not None
    assert (back.status, back.confirmed_at, back.unsubscribed_at) == (SubscriptionStatus.CONFIRMED, LATER, None)


def test_leaving_again_keeps_the_day_of_the_first_time(database: Database, ids: tuple[int, int]) -> None:
    confirm(database, ids, NOW)
    leave(database, ids, NOW)
    leave(database, ids, LATER)
    left = standing(database)
    assert left is not None
    assert left.unsubscribed_at == NOW


def test_leaving_what_one_never_had_changes_nothing(database: Database, ids: tuple[int, int]) -> None:
    leave(database, ids, NOW)
    assert standing(database) is None


def test_confirming_twice_at_once_makes_one_subscription(database: Database, ids: tuple[int, int]) -> None:
    workers = 5
    gate = Barrier(workers)
    # Opening a connection takes longer than the race: they wait in the pool, which keeps as many as there are workers.
    for connection in [database.engine.connect() for _ in range(workers)]:
        connection.close()

    def press(_number: int) -> None:
        gate.wait()
        confirm(database, ids, NOW)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(press, range(workers)))
    assert standing(database) is not None


def test_asking_at_once_for_one_address_makes_one_subscriber(database: Database) -> None:
    workers = 8
    gate = Barrier(workers)

    def ask(number: int) -> int:
        gate.wait()
        spelling = parse("ADA@example.org" if number % 2 else "ada@EXAMPLE.org")
        with database.transaction() as session:
            return people.find_or_add(session, spelling, now=NOW).id

    with ThreadPoolExecutor(workers) as pool:
        assert len(set(pool.map(ask, range(workers)))) == 1
    with database.reading() as session:
        assert len(session.scalars(select(Subscriber)).all()) == 1


def test_an_address_keeps_the_spelling_of_the_first_time(database: Database) -> None:
    with database.transaction() as session:
        first = people.find_or_add(session, parse("Ada@example.org"), now=NOW)
        again = people.find_or_add(session, parse("ADA@example.org"), now=LATER)
        assert (again.id, again.email, again.created_at) == (first.id, "Ada@example.org", NOW)
