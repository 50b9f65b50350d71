"""Waiting for an issue: how often is counted, and what is shown meanwhile."""

import threading

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError, ProgrammingError

from newsletter_svc.cli import watching
from newsletter_svc.cli.showing import Speed, display
from newsletter_svc.cli.watching import send_and_wait
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, MailingState, Status
from newsletter_svc.digests import steering
from newsletter_svc.digests.progress import Progress
from newsletter_svc.parts import Parts
from tests.factories import fill, send_now


def publish(parts: Parts, *, readers: int) -> int:
    """Make an issue for so many readers."""
    fill(parts.database, "One", readers=readers)
    run = send_now(parts)
    assert run.digest_id is not None
    return run.digest_id


def so_far(*, sent: int, pending: int, state: MailingState = MailingState.ACTIVE) -> Progress:
    counts = {**dict.fromkeys(Status, 0), Status.SENT: sent, Status.PENDING: pending}
    return Progress(counts, state)


def test_while_counting_is_costly_it_is_done_at_the_beginning_and_at_the_end(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "COUNTING_SHARE", 1e9)
    shown: list[Progress] = []

    result = send_and_wait(parts, publish(parts, readers=120), show=shown.append)

    assert [each.settled for each in shown][-1] == result.progress.settled == 120
    assert len(shown) == 2


def test_an_issue_that_is_paused_meanwhile_ends_the_waiting(parts: Parts) -> None:
    digest_id = publish(parts, readers=1)
    with parts.database.transaction() as session:  # As if another machine's sender had it in hand, and then ended.
        session.execute(update(Delivery).values(status=Status.RETRY, due_at=utcnow().replace(year=9999)))
    steering.pause(parts.database, digest_id, now=utcnow())

    result = send_and_wait(parts, digest_id, show=lambda latest: None)

    assert result.progress.state == MailingState.PAUSED
    assert result.progress.counts[Status.RETRY] == 1


def test_when_all_who_send_are_gone_there_is_nothing_to_wait_for(parts: Parts) -> None:
    watch = watching._Watch(parts, publish(parts, readers=1), lambda latest: None, 600)
    watch.wait(threading.Event(), has_nobody=lambda: True)


class Repaired(threading.Event):
    """Whoever waits for it finds the database in order again afterwards."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        rename(self._database, "gone", "mailings")
        return False


def rename(database: Database, table: str, name: str) -> None:
    with database.transaction() as session:
        session.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_database_that_fails_for_a_moment_does_not_end_the_waiting(parts: Parts) -> None:
    if parts.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL calls a missing table another kind of error")
    digest_id = publish(parts, readers=0)
    told = Repaired(parts.database)
    watch = watching._Watch(parts, digest_id, lambda latest: None, stalled_seconds=60)
    rename(parts.database, "mailings", "gone")

    watch.wait(told, has_nobody=lambda: False)

    assert told.waits == 1


def test_a_database_that_does_not_come_back_ends_it(parts: Parts) -> None:
    digest_id = publish(parts, readers=1)
    watch = watching._Watch(parts, digest_id, lambda latest: None, stalled_seconds=-1)
    rename(parts.database, "mailings", "gone")
    try:
        with pytest.raises((OperationalError, ProgrammingError)):
            watch.wait(threading.Event(), has_nobody=lambda: False)
    finally:
        rename(parts.database, "gone", "mailings")


def test_the_pace_is_that_of_the_last_half_minute() -> None:
    speed = Speed()

    said = [
        speed.pace(so_far(sent=sent, pending=100_000 - sent), at=float(second))
        for second, sent in ((0, 0), (1, 500), (40, 39_500), (60, 39_500), (100, 39_500), (101, 100_000))
    ]

    assert said == [
        "",
        "500 a second, 3 min 19 s left",
        "1,000 a second, 1 min 0 s left",
        "661 a second, 1 min 32 s left",
        "",
        "1,476 a second",
    ]


def test_hours_are_told_as_such() -> None:
    speed = Speed()
    speed.pace(so_far(sent=0, pending=1_000_000), at=0.0)

    assert speed.pace(so_far(sent=100, pending=999_900), at=1.0) == "100 a second, 2 h 46 min left"
    assert speed.pace(so_far(sent=101, pending=10), at=100.0) == "0.01 a second, 16 min 30 s left"


def test_lines_come_for_each_tenth_of_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with display(quiet=False) as show:
        for sent in range(0, 2_001, 50):
            show(so_far(sent=sent, pending=2_000 - sent))

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[0] for line in lines] == [
        "0 of 2,000",
        *(f"{sent:,} of 2,000" for sent in range(200, 2_001, 200)),
    ]
    assert all(" a second, " in line and line.endswith(" left") for line in lines[1:-1])


def test_a_machine_is_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with display(quiet=True) as show:
        show(so_far(sent=1, pending=0))
    assert capsys.readouterr().out == ""
