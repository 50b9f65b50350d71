"""A broker for tests: a database of the Redis server that TEST_REDIS_URL names, as Celery calls it."""

import json
import os
from base64 import b64decode

import pytest
import redis

from newsletter_svc.jobs.celery_app import Queue

REDIS = os.environ.get("TEST_REDIS_URL")
_NUMBER = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Not the one whose counters other tests reset, and another one for each of the processes that run tests at once."""


def required_redis() -> str:
    """The server's URL. Without one the test is skipped, or fails where everything has to be there."""
    if REDIS is None:
        if os.environ.get("CI") or os.environ.get("REQUIRE_SERVICES"):
            pytest.fail("there is no Redis server (TEST_REDIS_URL)")
        pytest.skip("needs a Redis server (TEST_REDIS_URL)")
    return REDIS


def as_celery_says(url: str) -> str:
    """The test's database on this server: `redis+socket:///run/redis.sock?virtual_host=1`."""
    if url.startswith("redis+unix://"):
        return f"{url.replace('redis+unix://', 'redis+socket://')}?virtual_host={_NUMBER}"
    return f"{url.rstrip('/')}/{_NUMBER}"


def client(url: str) -> redis.Redis:
    """Redis's own client for the same database."""
    return redis.Redis.from_url(url.replace("redis+unix://", "unix://"), db=_NUMBER)


def waiting(queues: redis.Redis, queue: Queue) -> list[tuple[str, list[int]]]:
    """The tasks in a queue with their arguments, the oldest first."""
    messages = [json.loads(raw) for raw in reversed(queues.lrange(queue.value, 0, -1))]
    return [(message["headers"]["task"], json.loads(b64decode(message["body"]))[0]) for message in messages]
