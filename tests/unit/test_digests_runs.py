"""Asking for issues: when they are due, and that each is made once whoever asks and however often."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select, text

from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import Frequency, Schedule, Weekday
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.models import Digest, DigestArticle, Edition, EditionRun
from newsletter_svc.digests.runs import Outcome, Run, run_due, send_now
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from tests.factories import make_articles, make_press, make_reader

MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = Schedule(time(7), "Europe/London")
WEEKLY = Schedule(time(7), "Europe/London", Weekday.TUESDAY)


@pytest.fixture
def press(settings: Settings) -> Press:
    return make_press(settings)


@pytest.fixture
def due(database: Database, press: Press) -> Callable[[datetime], list[Run]]:
    """What cron does at that moment."""
    return lambda now: run_due(database, press=press, now=now)


def schedule(database: Database, wanted: Schedule, *, now: datetime = MADE, slug: str = "briefing") -> None:
    with database.transaction() as session:
        editions.set_schedule(session, newsletters.get(session, slug).id, wanted, now=now)


def write(database: Database, *titles: str, now: datetime = MADE, slug: str = "briefing") -> None:
    with database.transaction() as session:
        make_articles(session, *titles, now=now, slug=slug)


def by_hand(database: Database, press: Press, now: datetime) -> Run:
    with database.transaction() as session:
        newsletter = newsletters.get(session, "briefing")
        return send_now(session, newsletter, tz="Europe/London", press=press, now=now)


def count(database: Database, table: type) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def outcomes(runs: list[Run]) -> list[Outcome]:
    return [run.outcome for run in runs]


def test_without_a_schedule_nothing_is_due(database: Database, due: Callable[[datetime], list[Run]]) -> None:
    write(database, "One")

    assert due(TUESDAY) == []


def test_an_issue_is_made_once_its_hour_has_come(database: Database, due: Callable[[datetime], list[Run]]) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=MADE)
    schedule(database, WEEKLY)
    write(database, "One", "Two")

    assert due(TUESDAY - timedelta(seconds=1)) == [Run("briefing", "2026-W48", Outcome.NOT_DUE)]
    (run,) = due(TUESDAY)

    assert run == Run("briefing", "2026-W48", Outcome.PUBLISHED, digest_id=run.digest_id, articles=2, recipients=1)
    assert outcomes(due(TUESDAY)) == [Outcome.ALREADY_RUN]
    assert outcomes(due(TUESDAY + 6 * DAY)) == [Outcome.ALREADY_RUN]
    assert count(database, Digest) == 1


def test_nothing_new_is_on_record_and_the_next_article_waits_for_the_next_slot(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    schedule(database, DAILY)

    assert outcomes(due(TUESDAY)) == [Outcome.NOTHING_NEW]
    write(database, "One", now=TUESDAY)
    assert outcomes(due(TUESDAY + timedelta(hours=1))) == [Outcome.ALREADY_RUN]
    assert outcomes(due(TUESDAY + DAY)) == [Outcome.PUBLISHED]

    with database.reading() as session:
        runs = session.scalars(select(EditionRun).order_by(EditionRun.slot_date)).all()
        assert [(run.slot_date.day, run.outcome, run.digest_id is None) for run in runs] == [
            (24, "nothing_new", True),
            (25, "published", False),
        ]


def test_after_three_days_without_cron_there_is_one_issue(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    schedule(database, DAILY)
    write(database, "Zero")
    due(TUESDAY)
    for days in (0, 1, 2):
        write(database, f"Day {days}", now=TUESDAY + days * DAY)

    (run,) = due(TUESDAY + 3 * DAY + timedelta(hours=5))

    assert (run.period, run.outcome, run.articles) == ("2026-11-27", Outcome.PUBLISHED, 3)
    assert count(database, Digest) == 2


def test_a_clock_that_goes_back_or_ahead_makes_no_second_issue(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    schedule(database, DAILY)
    write(database, "One")
    due(TUESDAY)
    write(database, "Two", now=TUESDAY)

    assert outcomes(due(TUESDAY - DAY)) == [Outcome.ALREADY_RUN]
    assert outcomes(due(TUESDAY + DAY)) == [Outcome.PUBLISHED]
    write(database, "Three", now=TUESDAY)
    assert outcomes(due(TUESDAY)) == [Outcome.ALREADY_RUN]
    assert outcomes(due(TUESDAY + DAY)) == [Outcome.ALREADY_RUN]
    assert outcomes(due(TUESDAY + 2 * DAY)) == [Outcome.PUBLISHED]


def test_a_schedule_set_after_its_hour_begins_with_the_next_slot(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    write(database, "One")
    schedule(database, DAILY, now=TUESDAY + timedelta(hours=3))

    assert outcomes(due(TUESDAY + timedelta(hours=3))) == [Outcome.NOT_DUE]
    assert outcomes(due(TUESDAY + DAY)) == [Outcome.PUBLISHED]


def test_setting_the_same_schedule_again_changes_nothing(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    write(database, "One")
    schedule(database, DAILY)
    schedule(database, DAILY, now=TUESDAY + timedelta(seconds=1))

    assert outcomes(due(TUESDAY + timedelta(seconds=2))) == [Outcome.PUBLISHED]


def test_another_rhythm_neither_doubles_nor_loses_an_article(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    schedule(database, DAILY)
    write(database, "One")
    due(TUESDAY)
    write(database, "Two", now=TUESDAY)
    schedule(database, WEEKLY, now=TUESDAY + timedelta(hours=1))

    assert outcomes(due(TUESDAY + DAY)) == [Outcome.NOT_DUE]
    (run,) = due(TUESDAY + 7 * DAY)
    assert (run.outcome, run.articles, run.period) == (Outcome.PUBLISHED, 1, "2026-W49")
    with database.reading() as session:
        assert [edition.frequency for edition in session.scalars(select(Edition))] == [Frequency.WEEKLY]


def test_an_issue_by_hand_leaves_the_schedule_alone(
    database: Database, press: Press, due: Callable[[datetime], list[Run]]
) -> None:
    schedule(database, DAILY)
    write(database, "One")
    run = by_hand(database, press, TUESDAY - timedelta(hours=1))
    write(database, "Two")

    assert (run.outcome, run.articles, run.period) == (Outcome.PUBLISHED, 1, "2026-11-24")
    assert outcomes(due(TUESDAY)) == [Outcome.PUBLISHED]
    assert by_hand(database, press, TUESDAY).outcome == Outcome.NOTHING_NEW
    with database.reading() as session:
        assert [digest.slot_date is None for digest in session.scalars(select(Digest).order_by(Digest.id))] == [
            True,
            False,
        ]


def test_an_edition_that_fails_does_not_hold_up_the_others_and_is_tried_again(
    database: Database, due: Callable[[datetime], list[Run]]
) -> None:
    if database.engine.name != "sqlite":
        pytest.skip("PostgreSQL lets no such row in")
    with database.transaction() as session:
        newsletters.add(session, "ports", title="Ports", now=MADE)
    for slug in ("briefing", "ports"):
        schedule(database, DAILY, slug=slug)
        write(database, f"Of {slug}", slug=slug)
    with database.transaction() as session:
        session.execute(text("UPDATE articles SET body_html = x'ff' WHERE title = 'Of briefing'"))

    failed, made = due(TUESDAY)

    assert (failed.newsletter, failed.outcome) == ("briefing", Outcome.FAILED)
    assert failed.reason == "None of the 1 new articles can be rendered."
    assert (made.newsletter, made.outcome) == ("ports", Outcome.PUBLISHED)
    with database.transaction() as session:
        session.execute(text("UPDATE articles SET body_html = '<p>Mended</p>'"))
    assert outcomes(due(TUESDAY + timedelta(hours=1))) == [Outcome.PUBLISHED, Outcome.ALREADY_RUN]


@pytest.fixture
def at_once(database_url: str) -> Callable[[int, Callable[[Database], Run]], Counter[Outcome]]:
    """Do the same thing many times at the same moment, each with connections of its own, and count the outcomes."""

    def run(times: int, ask: Callable[[Database], Run]) -> Counter[Outcome]:
        start = Barrier(times)

        def one(_number: int) -> Outcome:
            own = Database(database_url)
            try:
                start.wait()
                return ask(own).outcome
            finally:
                own.dispose()

        with ThreadPoolExecutor(times) as pool:
            return Counter(pool.map(one, range(times)))

    return run


def test_a_trigger_waits_while_somebody_else_has_the_lock(
    database: Database, database_url: str, press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule(database, DAILY)
    write(database, "One")
    monkeypatch.setattr("newsletter_svc.locks.LONGEST_WAIT_MS", 100)
    impatient = Database(database_url)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            session.scalars(select(Edition).with_for_update()).one()
            asked = pool.submit(run_due, impatient, press=press, now=TUESDAY)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.3)  # Three times as long as the database itself waits.
        assert outcomes(asked.result()) == [Outcome.PUBLISHED]
    impatient.dispose()


def test_twenty_triggers_at_once_make_one_issue_and_the_others_say_so(
    database: Database, press: Press, at_once: Callable[[int, Callable[[Database], Run]], Counter[Outcome]]
) -> None:
    schedule(database, DAILY)
    write(database, "One", "Two")
    with database.transaction() as session:
        for number in range(5):
            make_reader(session, f"reader{number}@example.org", now=MADE)

    found = at_once(20, lambda own: run_due(own, press=press, now=TUESDAY)[0])

    assert found == {Outcome.PUBLISHED: 1, Outcome.ALREADY_RUN: 19}
    assert (count(database, Digest), count(database, DigestArticle), count(database, Delivery)) == (1, 2, 5)


def test_ten_sends_at_once_send_each_article_once(
    database: Database, press: Press, at_once: Callable[[int, Callable[[Database], Run]], Counter[Outcome]]
) -> None:
    write(database, "One", "Two")
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=MADE)

    found = at_once(10, lambda own: by_hand(own, press, TUESDAY))

    assert found == {Outcome.PUBLISHED: 1, Outcome.NOTHING_NEW: 9}
    assert (count(database, Digest), count(database, DigestArticle), count(database, Delivery)) == (1, 2, 1)
    assert count(database, Edition) == 1
