"""What workers do when they are hinted at: send what is due, call for help where it pays, leave a dead server alone."""

from collections.abc import Iterator
from datetime import time, timedelta

import pytest
import redis
from sqlalchemy import func, select
from structlog.testing import capture_logs

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import mailings
from newsletter_svc.delivery.models import Delivery, Mailing, Status
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import Schedule
from newsletter_svc.jobs.celery_app import Queue, Task, make_celery
from newsletter_svc.jobs.duties import WORTH_HELP, Duties
from newsletter_svc.jobs.hints import Hints
from newsletter_svc.jobs.node import safely
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from tests.broker import waiting
from tests.factories import ask_for_link, make_articles, make_reader, owe_issue


@pytest.fixture
def duties(parts: Parts, broker_url: str) -> Iterator[Duties]:
    with make_celery(broker_url) as celery:
        yield Duties(parts.sender, parts.bulk, parts.press, Hints(celery))


def owe_an_issue(parts: Parts, *, readers: int) -> int:
    """Owe every reader an issue; return its mailing."""
    with parts.database.transaction() as session:
        for number in range(readers):
            make_reader(session, f"reader-{number}@example.org", now=utcnow())
    assert owe_issue(parts).recipients == readers
    with parts.database.reading() as session:
        return session.scalars(select(Mailing.id)).one()


def sent(parts: Parts) -> int:
    with parts.database.reading() as session:
        return session.scalars(select(func.count()).where(Delivery.status == Status.SENT)).one()


def test_whoever_carries_a_large_mailing_calls_one_helper_and_sends_all_of_it(
    duties: Duties, parts: Parts, queues: redis.Redis
) -> None:
    mailing_id = owe_an_issue(parts, readers=WORTH_HELP + 1)
    duties.carry(mailing_id)
    assert sent(parts) == WORTH_HELP + 1
    assert waiting(queues, Queue.BULK) == [(Task.CARRY, [mailing_id])]


def test_a_helper_that_comes_too_late_calls_nobody(duties: Duties, parts: Parts, queues: redis.Redis) -> None:
    mailing_id = owe_an_issue(parts, readers=WORTH_HELP)
    duties.carry(mailing_id)
    duties.carry(mailing_id)
    assert sent(parts) == WORTH_HELP
    assert waiting(queues, Queue.BULK) == []


def test_a_worker_that_is_told_to_end_begins_nothing(duties: Duties, parts: Parts, queues: redis.Redis) -> None:
    mailing_id = owe_an_issue(parts, readers=WORTH_HELP + 1)
    ask_for_link(parts, "ada@example.net")
    duties.stop()
    duties.carry(mailing_id)
    duties.send_single()
    assert sent(parts) == 0
    assert waiting(queues, Queue.BULK) == []


def test_sign_in_mails_are_sent_by_several_where_there_are_several(
    duties: Duties, parts: Parts, queues: redis.Redis
) -> None:
    ask_for_link(parts, "ada@example.net")
    duties.send_single()
    assert waiting(queues, Queue.SIGNIN) == []
    ask_for_link(parts, "bob@example.net", "cyd@example.net")
    duties.send_single()
    assert waiting(queues, Queue.SIGNIN) == [(Task.SEND_SINGLE, [])]
    assert sent(parts) == 3


def test_a_sweep_hints_at_what_is_due_and_at_nothing_else(duties: Duties, parts: Parts, queues: redis.Redis) -> None:
    duties.sweep()
    assert queues.dbsize() == 0
    mailing_id = owe_an_issue(parts, readers=2)
    duties.sweep()
    assert waiting(queues, Queue.BULK) == [(Task.CARRY, [mailing_id])]
    assert waiting(queues, Queue.SIGNIN) == []
    ask_for_link(parts, "ada@example.net")
    duties.sweep()
    assert waiting(queues, Queue.SIGNIN) == [(Task.SEND_SINGLE, [])]


def test_a_sweep_leaves_a_paused_mailing_alone(duties: Duties, parts: Parts, queues: redis.Redis) -> None:
    mailing_id = owe_an_issue(parts, readers=2)
    with parts.database.transaction() as session:
        assert mailings.pause(session, mailing_id)
    duties.sweep()
    assert waiting(queues, Queue.BULK) == []


def test_an_issue_that_is_due_is_made_once_and_hinted_at(duties: Duties, parts: Parts, queues: redis.Redis) -> None:
    now = utcnow()
    with parts.database.transaction() as session:
        make_reader(session, "ada@example.org", now=now)
        make_articles(session, "One", now=now)
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        editions.set_schedule(session, newsletter.id, Schedule(time(7), "Europe/London"), now=now - timedelta(days=3))
    duties.run_due()
    duties.run_due()
    assert [task for task, _ in waiting(queues, Queue.BULK)] == [Task.CARRY]


def test_a_task_that_fails_names_its_error_and_no_address() -> None:
    def fail(mailing_id: int) -> None:
        raise RuntimeError("ada@example.org")

    with capture_logs() as events:
        safely(Task.CARRY, fail)(7)
    assert events == [
        {"event": "task_failed", "log_level": "error", "task": "newsletter.carry", "ids": (7,), "error": "RuntimeError"}
    ]
