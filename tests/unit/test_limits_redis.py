"""Counters in Redis, by setting: the same limits, and a plain answer when it is away."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from limits.storage import storage_from_string

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.limits.limiter import Limits, PeerOverLimit
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring
from newsletter_svc.web.state import EXTENSION
from tests.broker import required_redis
from tests.conftest import KEY
from tests.factories import make_reader

AWAY = "redis://127.0.0.1:1"


@pytest.fixture
def redis_url() -> Iterator[str]:
    url = required_redis()
    storage_from_string(url).reset()
    yield url
    storage_from_string(url).reset()


def limits_of(settings: Settings, url: str, database: Database) -> Limits:
    settings = replace(
        settings,
        ratelimit_storage_uri=url,
        limit_per_address="1/minute;5/hour",
        limit_per_ip="3/hour",
        limit_wrong_codes="2/hour",
    )
    return Limits(settings, database=database, keyring=Keyring([KEY], environment="development"))


def test_two_machines_count_in_one_redis(settings: Settings, database: Database, redis_url: str) -> None:
    machines = [limits_of(settings, redis_url, database) for _ in range(2)]

    def ask(number: int) -> bool:
        limits = machines[number % 2]
        with limits.counting() as session:
            return limits.may_send(session, "ada@example.org", peer="192.0.2.7", purpose="signin")

    assert [ask(number) for number in range(3)] == [True, False, False]
    with pytest.raises(PeerOverLimit) as caught:
        ask(3)
    assert 3590 < caught.value.retry_after <= 3600


def test_right_codes_are_forgiven_in_redis_too(settings: Settings, database: Database, redis_url: str) -> None:
    limits = limits_of(settings, redis_url, database)
    with database.transaction() as session:
        ada = make_reader(session, "ada@example.org", now=utcnow()).id
    for _ in range(5):
        limits.count_code(ada)
        limits.forgive_code(ada)


def test_while_redis_is_away_nobody_passes_and_everybody_is_told_to_try_again(settings: Settings) -> None:
    app = create_app(replace(settings, ratelimit_storage_uri=AWAY))

    answer = app.test_client().post("/signin", json={"email": "ada@example.org"})

    assert answer.status_code == 503
    assert answer.get_json()["code"] == "busy"
    assert "Retry-After" in answer.headers
    app.extensions[EXTENSION].database.dispose()
