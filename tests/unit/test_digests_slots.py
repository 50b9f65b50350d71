"""Issues by each reader's choice: how often, at which hour, in which zone, and not while paused."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import String, cast, event, select
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.digests import editions, recipients
from newsletter_svc.digests.calendar import Frequency, Schedule, Weekday
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.models import Digest, DigestArticle, Edition
from newsletter_svc.digests.progress import report
from newsletter_svc.digests.runs import Outcome, Run, run_due, send_now
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import choices, newsletters
from newsletter_svc.subscribers.models import Rhythm, Subscriber
from tests.factories import make_articles, make_press, make_reader

BRIEFING = 1
MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAILY = Schedule(time(7), "Europe/London")
WEEKLY = Schedule(time(9), "Europe/London", Weekday.TUESDAY)
BOTH = (Rhythm.DAILY, Rhythm.WEEKLY)
TUESDAY = date(2026, 11, 24)


def at(day: int, hour: int, minute: int = 0, *, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


class Desk:
    """A newsletter, its readers and its clock."""

    def __init__(self, database: Database, press: Press) -> None:
        self.database = database
        self.press = press

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.database.transaction() as session:
            yield session

    def schedule(self, *schedules: Schedule, now: datetime = MADE) -> None:
        with self.session() as session:
            editions.set_schedule(session, BRIEFING, *schedules, now=now)

    def write(self, title: str, now: datetime = MADE) -> None:
        with self.session() as session:
            make_articles(session, title, now=now)

    def reader(self, name: str, *, hour: int | None = None, tz: str | None = None, often: str | None = None) -> int:
        with self.session() as session:
            reader = make_reader(session, f"{name}@example.org", now=MADE)
            choices.set_time(session, reader.id, send_hour=hour, timezone=tz)
            choices.set_frequency(session, reader.id, BRIEFING, often, offered=BOTH)
            return reader.id

    def run(self, now: datetime) -> list[Run]:
        return run_due(self.database, press=self.press, now=now)

    def send(self, now: datetime) -> Run:
        with self.session() as session:
            newsletter = newsletters.get(session, "briefing")
            return send_now(session, newsletter, tz="Europe/London", press=self.press, now=now)

    def owed(self) -> list[tuple[str, str, datetime]]:
        """Name, the issue's date (or `by hand`) with its rhythm, and when it is due, in that order."""
        query = (
            select(Subscriber.email, Edition.frequency, Digest.slot_date, Delivery.due_at)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .join(Digest, Delivery.subject_id == cast(Digest.id, String))
            .join(Edition, Digest.edition_id == Edition.id)
            .order_by(Digest.id, Delivery.due_at, Subscriber.id)
        )
        with self.database.reading() as session:
            return [
                (email.partition("@")[0], f"{often} {day:%m-%d}" if day else "by hand", due_at)
                for email, often, day, due_at in session.execute(query)
            ]

    def titles(self) -> dict[str, list[int]]:
        """For each edition, the numbers of the articles that it carried."""
        query = select(Edition.frequency, DigestArticle.article_id).join(
            Edition, DigestArticle.edition_id == Edition.id
        )
        found: dict[str, list[int]] = {}
        with self.database.reading() as session:
            for often, article in session.execute(query.order_by(DigestArticle.article_id)):
                found.setdefault(often, []).append(article)
        return found


@pytest.fixture
def desk(database: Database, settings: Settings) -> Desk:
    return Desk(database, make_press(settings))


def outcomes(runs: list[Run]) -> list[Outcome]:
    return [run.outcome for run in runs]


def test_the_first_zone_freezes_the_issue_and_each_reader_gets_it_at_their_own_hour(desk: Desk) -> None:
    desk.schedule(DAILY)
    desk.reader("london")
    desk.reader("kathmandu", tz="Asia/Kathmandu")
    desk.reader("evening", hour=18)
    desk.reader("lordhowe", hour=7, tz="Australia/Lord_Howe")
    desk.write("One")

    assert outcomes(desk.run(at(23, 19, 59))) == [Outcome.PUBLISHED]  # The day before is still the latest date.
    desk.write("Two", now=at(23, 19, 59))
    (run,) = desk.run(at(23, 20, 0))  # 07:00 on Lord Howe, eleven hours ahead.
    desk.write("Three", now=at(23, 20, 0))

    assert (run.outcome, run.period, run.recipients) == (Outcome.PUBLISHED, "2026-11-24", 4)
    assert desk.owed()[4:] == [
        ("lordhowe", "daily 11-24", at(23, 20, 0)),
        ("kathmandu", "daily 11-24", at(24, 1, 15)),
        ("london", "daily 11-24", at(24, 7, 0)),
        ("evening", "daily 11-24", at(24, 18, 0)),
    ]
    for now in (at(24, 1, 15), at(24, 7, 0), at(24, 18, 0), at(24, 19, 59)):
        assert outcomes(desk.run(now)) == [Outcome.ALREADY_RUN]
    assert len(desk.owed()) == 8


def claimed(desk: Desk, mailing_id: int, now: datetime) -> list[int | None]:
    """Who is sent it when a sender looks at that moment."""
    wanted = {"digest": recipients.still_wanted}
    lease = ledger.Lease(worker=f"at {now}", seconds=300)
    with desk.session() as session:
        taken = ledger.claim(session, mailing_id, lease=lease, limit=10, wanted=wanted, now=now)
    return [each.subscriber_id for each in taken]


def test_no_sender_takes_what_is_due_in_zones_to_come(desk: Desk) -> None:
    desk.schedule(DAILY)
    tokyo, london = desk.reader("tokyo", tz="Asia/Tokyo"), desk.reader("london")
    desk.write("One")
    desk.run(at(23, 22, 0))

    assert claimed(desk, 1, at(23, 22, 0)) == [tokyo]
    assert claimed(desk, 1, at(24, 6, 59)) == []
    assert claimed(desk, 1, at(24, 7, 0)) == [london]


def test_the_status_says_which_zones_are_served(desk: Desk) -> None:
    desk.schedule(DAILY)
    desk.reader("tokyo", tz="Asia/Tokyo")
    desk.reader("seoul", tz="Asia/Seoul")
    desk.reader("london")
    desk.write("One")
    desk.run(at(23, 22, 0))
    claimed(desk, 1, at(23, 22, 0))

    with desk.session() as session:
        found = report(session, 1, now=at(23, 22, 1))
    assert [(each.due_at, list(each.places), each.readers, each.left) for each in found.slots] == [
        (at(23, 22, 0), ["07:00 Asia/Seoul", "07:00 Asia/Tokyo"], 2, 0),
        (at(24, 7, 0), ["07:00 Europe/London"], 1, 1),
    ]
    assert (found.progress.total, found.progress.to_send, found.progress.later) == (3, 2, 1)


def test_the_weekly_edition_is_not_emptied_by_the_daily_one(desk: Desk) -> None:
    desk.schedule(DAILY, WEEKLY)
    desk.reader("everyday")
    desk.reader("tuesdays", often="weekly")
    for day in (21, 22, 23, 24):
        desk.write(f"Of the {day}th", now=at(day, 6))
        desk.run(at(day, 10))

    assert [(name, issue) for name, issue, _ in desk.owed()] == [
        ("everyday", "daily 11-21"),
        ("everyday", "daily 11-22"),
        ("everyday", "daily 11-23"),
        ("everyday", "daily 11-24"),
        ("tuesdays", "weekly 11-24"),
    ]
    assert desk.titles() == {"daily": [1, 2, 3, 4], "weekly": [1, 2, 3, 4]}


def test_who_chose_an_edition_that_has_ended_gets_the_newsletters_own(desk: Desk) -> None:
    desk.schedule(DAILY, WEEKLY)
    desk.reader("tuesdays", often="weekly")
    desk.schedule(DAILY, now=at(23, 12))
    desk.write("One")
    desk.run(at(24, 10))

    assert [(name, issue) for name, issue, _ in desk.owed()] == [("tuesdays", "daily 11-24")]


def test_an_edition_that_joins_another_begins_with_what_the_other_has_not_carried(desk: Desk) -> None:
    desk.schedule(DAILY)
    desk.write("One")
    desk.run(at(21, 10))
    desk.write("Two", now=at(21, 11))
    desk.schedule(DAILY, WEEKLY, now=at(21, 12))
    desk.run(at(24, 10))
    assert desk.titles() == {"daily": [1, 2], "weekly": [2]}
    with desk.session() as session:
        assert editions.offered(session, BRIEFING) == BOTH
        own = editions.find(session, BRIEFING)
        assert own is not None
        assert own.frequency is Frequency.DAILY


def test_an_edition_that_rested_and_comes_back_is_not_the_newsletters_own(desk: Desk) -> None:
    desk.schedule(WEEKLY)
    desk.schedule(DAILY, WEEKLY, now=at(21, 8))
    desk.schedule(DAILY, now=at(21, 9))
    desk.schedule(DAILY, WEEKLY, now=at(21, 10))
    desk.reader("anybody")
    desk.write("One")
    desk.run(at(24, 12))

    assert [(name, issue) for name, issue, _ in desk.owed()] == [("anybody", "daily 11-24")]
    with desk.session() as session:
        assert [each.frequency for each in editions.all_of(session, BRIEFING)] == ["daily", "weekly"]


def test_an_issue_by_hand_goes_to_every_reader_at_once_and_is_in_no_edition_again(desk: Desk) -> None:
    desk.schedule(DAILY, WEEKLY)
    desk.reader("everyday", hour=20)
    desk.reader("tuesdays", often="weekly", tz="America/New_York")
    paused = desk.reader("paused")
    with desk.session() as session:
        choices.pause(session, paused, BRIEFING, weeks=1, now=at(20, 12))
    desk.write("One")
    desk.run(at(21, 7))  # Everybody's date, in the daily edition.
    desk.write("Two", now=at(21, 8))
    run = desk.send(at(21, 9))

    assert (run.outcome, run.articles, run.recipients) == (Outcome.PUBLISHED, 1, 2)
    assert [row for row in desk.owed() if row[1] == "by hand"] == [
        ("everyday", "by hand", at(21, 9)),
        ("tuesdays", "by hand", at(21, 9)),
    ]
    desk.write("Three", now=at(21, 10))
    desk.run(at(24, 10))
    with desk.session() as session:
        weekly = session.scalars(select(DigestArticle.article_id).join(Digest).where(Digest.id == 4)).all()
    assert sorted(weekly) == [1, 3]


def test_a_paused_reader_is_left_out_and_not_counted_until_the_pause_is_over(desk: Desk) -> None:
    desk.schedule(DAILY)
    reader = desk.reader("away", hour=8)
    with desk.session() as session:
        until = choices.pause(session, reader, BRIEFING, weeks=1, now=at(17, 7, 30))
    assert until == at(24, 7, 30)
    desk.write("One")
    (first,) = desk.run(at(23, 9))
    desk.write("Two", now=at(23, 10))
    (second,) = desk.run(at(24, 7))  # Made while paused, due when the pause is over.

    assert (first.recipients, second.recipients) == (0, 1)
    assert desk.owed() == [("away", "daily 11-24", at(24, 8, 0))]


def test_who_pauses_before_their_hour_is_not_sent_what_waits_for_them(desk: Desk) -> None:
    desk.schedule(DAILY)
    reader = desk.reader("evening", hour=18)
    desk.write("One")
    desk.run(at(24, 7))
    desk.run(at(24, 18))
    with desk.session() as session:
        choices.pause(session, reader, BRIEFING, weeks=1, now=at(24, 12))
    mailing_id = 2
    assert claimed(desk, mailing_id, at(24, 18)) == []
    with desk.session() as session:
        rows = session.scalars(select(Delivery.status).where(Delivery.mailing_id == mailing_id)).all()
    assert set(rows) <= {Status.CANCELLED}


def test_who_changes_the_hour_in_the_middle_of_an_issue_has_it_once_and_the_next_at_the_new_one(desk: Desk) -> None:
    desk.schedule(DAILY)
    reader = desk.reader("ada", hour=18)
    desk.write("One")
    desk.run(at(24, 7))
    with desk.session() as session:
        choices.set_time(session, reader, send_hour=6, timezone="Asia/Tokyo")
    desk.write("Two", now=at(24, 8))
    desk.run(at(24, 21))

    dates = [(issue, due_at) for _, issue, due_at in desk.owed()]
    assert dates == [("daily 11-24", at(24, 18)), ("daily 11-25", at(24, 21))]


@pytest.mark.parametrize(
    ("tz", "hour", "day", "due_at"),
    [
        ("Europe/Berlin", 2, date(2026, 3, 29), at(29, 1, month=3)),  # Skipped: 03:00, as long after the jump.
        ("Europe/Berlin", 2, date(2026, 10, 25), at(25, 0, month=10)),  # Twice: the first.
        ("America/New_York", 2, date(2026, 3, 8), at(8, 7, month=3)),
        ("America/New_York", 1, date(2026, 11, 1), at(1, 5)),
        ("Asia/Kathmandu", 2, date(2026, 3, 29), datetime(2026, 3, 28, 20, 15, tzinfo=UTC)),
        ("Australia/Lord_Howe", 2, date(2026, 10, 4), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", 2, date(2026, 4, 5), datetime(2026, 4, 4, 15, 30, tzinfo=UTC)),
    ],
)
def test_an_hour_that_is_skipped_or_comes_twice_sends_once(
    desk: Desk, tz: str, hour: int, day: date, due_at: datetime
) -> None:
    desk.schedule(DAILY, now=due_at - timedelta(days=5))
    desk.reader("ada", hour=hour, tz=tz)
    begin = due_at - timedelta(hours=30)
    for half_hours in range(0, 120, 3):
        now = begin + half_hours * timedelta(minutes=30)
        if half_hours % 12 == 0:
            desk.write(f"At {now}", now=now)
        desk.run(now)

    mine = [(issue, when) for _, issue, when in desk.owed()]
    assert len({issue for issue, _ in mine}) == len(mine)
    assert (f"daily {day:%m-%d}", due_at) in mine


def test_a_date_that_a_zone_never_had_costs_its_readers_no_issue(desk: Desk) -> None:
    samoa = datetime(2011, 12, 28, 12, tzinfo=UTC)
    desk.schedule(DAILY, now=samoa - timedelta(days=2))
    desk.reader("ada", tz="Pacific/Apia")
    desk.reader("london")
    for hours in range(0, 120, 4):
        desk.write(f"At {hours}", now=samoa + timedelta(hours=hours))
        desk.run(samoa + timedelta(hours=hours))

    by_reader = {name: [issue for who, issue, _ in desk.owed() if who == name] for name in ("ada", "london")}
    assert by_reader["ada"] == by_reader["london"]
    assert {"daily 12-29", "daily 12-30", "daily 12-31"} <= set(by_reader["ada"])


def test_cron_that_was_away_for_six_hours_makes_up_for_all_zones_at_once(desk: Desk) -> None:
    desk.schedule(DAILY)
    tokyo, london = desk.reader("tokyo", tz="Asia/Tokyo"), desk.reader("london")
    evening = desk.reader("evening", hour=19)
    desk.write("One")
    desk.run(at(24, 13))

    assert claimed(desk, 1, at(24, 13)) == [tokyo, london]
    assert claimed(desk, 1, at(24, 19)) == [evening]


def test_a_run_that_dies_before_it_has_written_the_readers_leaves_nothing_and_the_next_makes_it_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.schedule(DAILY)
    desk.reader("ada")
    desk.write("One")

    def dies(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("newsletter_svc.digests.recipients.enqueue_for_slots", dies)
        with pytest.raises(KeyboardInterrupt):
            desk.run(at(24, 7))
    assert desk.owed() == []
    assert outcomes(desk.run(at(24, 7))) == [Outcome.PUBLISHED]
    assert len(desk.owed()) == 1


def test_who_chose_a_time_is_found_by_an_index_of_their_own(desk: Desk) -> None:
    if desk.database.engine.name != "sqlite":
        pytest.skip("the plan is that of SQLite; PostgreSQL weighs the size of the tables")
    desk.schedule(DAILY)
    asked: list[str] = []
    event.listen(desk.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    desk.run(at(24, 7))
    query = next(each for each in asked if "SELECT DISTINCT" in each)
    with desk.session() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (0,) * query.count("?")).all()

    assert any("ix_subscribers_times" in row[3] for row in plan), plan
