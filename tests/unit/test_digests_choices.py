"""A law, whatever readers choose and whenever cron runs: each issue once, to those who had chosen it, at their hour."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import String, cast, delete, select

from newsletter_svc.articles.models import Article
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Mailing
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import Schedule, Weekday
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.models import Digest, DigestArticle, Edition
from newsletter_svc.digests.runs import Outcome, run_due, send_now
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import choices, newsletters
from newsletter_svc.subscribers.models import Rhythm, Subscriber
from tests.factories import make_articles, make_press, make_reader

BRIEFING = 1
OWN = "Europe/London"
ZONES = [None, "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
BEFORE_CLOCKS_CHANGE = [(2026, 3, 7), (2026, 3, 28), (2026, 4, 4), (2026, 10, 3), (2026, 10, 24), (2026, 10, 31)]
WAITS = [timedelta(minutes=minutes) for minutes in (1, 30, 60, 360, 780, 1440, 1830)]
SCHEDULES = {"daily": Schedule(time(7), OWN), "weekly": Schedule(time(2), OWN, Weekday.SUNDAY)}
NAMES = ["ada", "bo", "cem"]
names = st.sampled_from(NAMES)


class Choosing(RuleBasedStateMachine):
    """Readers choose, time passes, cron runs or does not; what the readers should get is worked out by hand here."""

    def __init__(self, database: Database, press: Press) -> None:
        super().__init__()
        self.database, self.press = database, press
        self.hour: dict[str, int | None] = dict.fromkeys(NAMES)
        self.zone: dict[str, str | None] = dict.fromkeys(NAMES)
        self.often: dict[str, str | None] = dict.fromkeys(NAMES)
        self.paused_until: dict[str, datetime | None] = dict.fromkeys(NAMES)
        self.last: dict[str, date | None] = {"daily": None, "weekly": None}
        self.ids: dict[str, int] = {}

    @initialize(begin=st.sampled_from(BEFORE_CLOCKS_CHANGE))
    def begin(self, begin: tuple[int, int, int]) -> None:
        self.now = self.set_at = datetime(*begin, 3, 10, tzinfo=UTC)
        with self.database.transaction() as session:
            for table in (Delivery, Mailing, Edition, Article, Subscriber):
                session.execute(delete(table))
            self.ids = {name: make_reader(session, f"{name}@example.org", now=self.now).id for name in NAMES}
            editions.set_schedule(session, BRIEFING, *SCHEDULES.values(), now=self.now)

    @rule(wait=st.sampled_from(WAITS))
    def time_passes(self, wait: timedelta) -> None:
        self.now += wait

    @rule()
    def an_article_comes(self) -> None:
        with self.database.transaction() as session:
            make_articles(session, f"At {self.now}", now=self.now)

    @rule(name=names, hour=st.sampled_from([None, 0, 1, 2, 7, 23]), zone=st.sampled_from(ZONES))
    def a_time_is_chosen(self, name: str, hour: int | None, zone: str | None) -> None:
        self.hour[name], self.zone[name] = hour, zone
        with self.database.transaction() as session:
            choices.set_time(session, self.ids[name], send_hour=hour, timezone=zone)

    @rule(name=names, often=st.sampled_from([None, "daily", "weekly"]))
    def a_frequency_is_chosen(self, name: str, often: str | None) -> None:
        self.often[name] = often
        with self.database.transaction() as session:
            choices.set_frequency(session, self.ids[name], BRIEFING, often, offered=tuple(Rhythm))

    @rule(name=names)
    def a_reader_pauses(self, name: str) -> None:
        with self.database.transaction() as session:
            self.paused_until[name] = choices.pause(session, self.ids[name], BRIEFING, weeks=1, now=self.now)

    @rule(name=names)
    def a_reader_resumes(self, name: str) -> None:
        self.paused_until[name] = None
        with self.database.transaction() as session:
            choices.resume(session, self.ids[name], BRIEFING)

    @rule()
    def an_issue_is_sent_by_hand(self) -> None:
        with self.database.transaction() as session:
            newsletter = newsletters.get(session, "briefing")
            run = send_now(session, newsletter, tz=OWN, press=self.press, now=self.now)
        if run.digest_id is not None:
            expected = {(name, self.now) for name in NAMES if not self.is_paused(name, self.now)}
            assert self.owed(run.digest_id) == expected

    @rule()
    def cron_runs_and_runs_again(self) -> None:
        self.check_run()
        again = run_due(self.database, press=self.press, now=self.now)
        assert {run.outcome for run in again} <= {Outcome.ALREADY_RUN, Outcome.NOT_DUE}

    def check_run(self) -> None:
        latest = {often: self.latest(often) for often in SCHEDULES}
        for often, run in zip(SCHEDULES, run_due(self.database, press=self.press, now=self.now), strict=True):
            day, last = latest[often], self.last[often]
            is_new = day is not None and (last is None or day > last)
            assert (run.outcome in {Outcome.PUBLISHED, Outcome.NOTHING_NEW}) == is_new, (often, run, day, last)
            if is_new:
                self.last[often] = day
            if run.digest_id is not None and day is not None:
                readers = {(name, self.moment(name, often, day)) for name in self.readers(often)}
                assert self.owed(run.digest_id) == {each for each in readers if not self.is_paused(*each)}

    def readers(self, often: str) -> list[str]:
        return [name for name in NAMES if (self.often[name] or "daily") == often]

    def moment(self, name: str | None, often: str, day: date) -> datetime:
        """When it is this reader's time on this date, or for None the newsletter's."""
        hour = self.hour[name] if name else None
        zone = self.zone[name] if name else None
        at = SCHEDULES[often].at if hour is None else time(hour)
        return datetime.combine(day, at, tzinfo=ZoneInfo(zone or OWN)).astimezone(UTC)

    def latest(self, often: str) -> date | None:
        """The last date whose hour has come for somebody, of those since the schedule was set."""
        days = (self.now.date() + timedelta(days=offset) for offset in range(2, -9, -1))
        whose = [None, *self.readers(often)]
        weekday = SCHEDULES[often].weekday
        return next(
            (
                day
                for day in days
                if (weekday is None or day.weekday() == weekday)
                and self.moment(None, often, day) >= self.set_at
                and any(self.moment(name, often, day) <= self.now for name in whose)
            ),
            None,
        )

    def is_paused(self, name: str, at: datetime) -> bool:
        until = self.paused_until[name]
        return until is not None and until > at

    def owed(self, digest_id: int) -> set[tuple[str, datetime]]:
        query = select(Delivery.subscriber_id, Delivery.due_at).where(Delivery.subject_id == cast(digest_id, String))
        by_id = {number: name for name, number in self.ids.items()}
        with self.database.reading() as session:
            rows = [(by_id[number], due_at) for number, due_at in session.execute(query)]
        assert len({name for name, _ in rows}) == len(rows)
        return set(rows)

    def teardown(self) -> None:
        """After a last week each edition has carried each article once, but for what went out by hand."""
        if not self.ids:
            return
        self.now += timedelta(days=8)
        self.check_run()
        with self.database.reading() as session:
            articles = list(session.scalars(select(Article.id).order_by(Article.id)))
            rows = session.execute(
                select(Edition.frequency, Digest.slot_date, DigestArticle.article_id)
                .join(Digest, DigestArticle.digest_id == Digest.id)
                .join(Edition, Digest.edition_id == Edition.id)
            ).all()
        by_hand = [article for _, day, article in rows if day is None]
        for often in SCHEDULES:
            carried = [article for each, day, article in rows if each == often and day is not None]
            assert sorted(carried + by_hand) == articles, often


def test_no_choice_doubles_or_skips_an_issue(database: Database, settings_of_service: Settings) -> None:
    press = make_press(settings_of_service)
    run_state_machine_as_test(
        lambda: Choosing(database, press),
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.fixture
def settings_of_service(request: pytest.FixtureRequest) -> Settings:
    """The fixture `settings`, whose name hypothesis has here."""
    found: Settings = request.getfixturevalue("settings")
    return found
