"""Hints to other machines: few, small, and never in the way of those who owe a mail."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import redis
import structlog
from sqlalchemy import select

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Lane, Status
from newsletter_svc.jobs.celery_app import HINT_SECONDS, Queue, Task, make_celery
from newsletter_svc.jobs.hints import Hints, HintThread, hint_thread
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.broker import waiting

AWAY = "redis://127.0.0.1:1"


@pytest.fixture
def hints(broker_url: str) -> Iterator[Hints]:
    with make_celery(broker_url) as celery:
        yield Hints(celery)


@contextmanager
def flushed(thread: HintThread) -> Iterator[HintThread]:
    yield thread
    assert thread.flush(30)
    thread.close()


def test_a_hint_names_a_task_and_carries_ids_alone(hints: Hints, queues: redis.Redis) -> None:
    assert hints.send(Task.CARRY, 7)
    assert waiting(queues, Queue.BULK) == [("newsletter.carry", [7])]


def test_each_hint_goes_to_the_queue_of_those_who_do_it(hints: Hints, queues: redis.Redis) -> None:
    for task in (Task.SEND_SINGLE, Task.SWEEP, Task.RUN_DUE, Task.PURGE):
        hints.send(task)
    assert waiting(queues, Queue.SIGNIN) == [("newsletter.send_single", [])]
    assert [task for task, _ in waiting(queues, Queue.CHORES)] == [
        "newsletter.sweep", "newsletter.run_due", "newsletter.purge",
    ]  # fmt: skip


def test_a_hint_that_nobody_takes_is_void_after_a_while(hints: Hints, queues: redis.Redis) -> None:
    hints.send(Task.SWEEP)
    [raw] = queues.lrange(Queue.CHORES.value, 0, -1)
    expires = datetime.fromisoformat(json.loads(raw)["headers"]["expires"])
    assert timedelta() < expires - utcnow() <= timedelta(seconds=HINT_SECONDS)


def test_sign_in_mail_does_not_have_the_whole_ledger_looked_through(broker_url: str, queues: redis.Redis) -> None:
    with flushed(hint_thread(broker_url)) as wake:
        wake(Lane.TRANSACTIONAL)
    assert waiting(queues, Queue.SIGNIN) == [("newsletter.send_single", [])]
    assert waiting(queues, Queue.CHORES) == []


def test_many_wakes_in_a_row_are_few_hints(broker_url: str, queues: redis.Redis) -> None:
    with flushed(hint_thread(broker_url)) as wake:
        for _ in range(10_000):
            wake()
    assert 1 <= len(waiting(queues, Queue.CHORES)) < 1_000


def test_whoever_wakes_does_not_wait_for_a_broker_that_never_answers() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with flushed(hint_thread(f"redis://127.0.0.1:{silent.getsockname()[1]}")) as wake, silent:
        wake()
        assert not wake.flush(0), "the hint is still on its way"


def test_a_process_that_ends_right_after_its_hint_has_sent_it(broker_url: str, queues: redis.Redis) -> None:
    program = "import sys; from newsletter_svc.jobs.hints import hint_thread; hint_thread(sys.argv[1])()"
    ended = subprocess.run([sys.executable, "-c", program, broker_url], capture_output=True, text=True, check=True)
    assert waiting(queues, Queue.CHORES) == [("newsletter.sweep", [])]
    assert "hint_not_sent" not in ended.stdout + ended.stderr


def test_a_broker_that_is_away_costs_a_warning(structlog_events: list[structlog.typing.EventDict]) -> None:
    with make_celery(AWAY) as celery:
        assert not Hints(celery).send(Task.SWEEP)
    assert [(each["event"], each["task"]) for each in structlog_events] == [("hint_not_sent", "newsletter.sweep")]


@pytest.fixture
def structlog_events() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


def test_a_broker_that_is_away_keeps_nobody_from_signing_in(settings: Settings) -> None:
    app = create_app(replace(settings, broker_url=AWAY))
    service: Parts = app.extensions[EXTENSION]
    assert isinstance(service.wake, HintThread)
    with flushed(service.wake):
        answer = app.test_client().post("/signin", json={"email": "ada@example.org"})
    assert answer.status_code == 202
    with service.database.reading() as session:
        assert session.scalars(select(Delivery.status)).all() == [Status.PENDING]
    service.database.dispose()
