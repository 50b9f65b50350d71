"""What readers choose: what can be chosen, and what is refused with a reason."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.subscribers import choices
from newsletter_svc.subscribers.choices import BadChoice, NotSubscribed
from newsletter_svc.subscribers.models import Rhythm
from tests.factories import make_reader

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
BRIEFING = 1


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def reader(session: Session) -> int:
    return make_reader(session, "ada@example.org", now=NOW).id


def test_who_has_chosen_nothing_leaves_it_to_the_newsletter(session: Session, reader: int) -> None:
    assert choices.of_reader(session, reader) == choices.OfReader(None, None, None)
    assert choices.of_subscription(session, reader, BRIEFING, now=NOW) == choices.OfSubscription(None, None)


def test_an_hour_a_zone_and_a_language_are_kept_as_they_are_spelled(session: Session, reader: int) -> None:
    choices.set_time(session, reader, send_hour=0, timezone=" asia/kathmandu ")
    choices.set_language(session, reader, "PT_br")
    assert choices.of_reader(session, reader) == choices.OfReader(0, "Asia/Kathmandu", "pt-BR")
    choices.set_time(session, reader, send_hour=None, timezone=None)
    choices.set_language(session, reader, None)
    assert choices.of_reader(session, reader) == choices.OfReader(None, None, None)


@pytest.mark.parametrize("hour", [-1, 24, 700])
def test_an_hour_that_no_day_has_is_refused(session: Session, reader: int, hour: int) -> None:
    with pytest.raises(BadChoice, match=f"^{hour} is no hour of the day; write a number from 0 to 23") as refused:
        choices.set_time(session, reader, send_hour=hour, timezone="Europe/Berlin")
    assert refused.value.field == "send_hour"
    assert choices.of_reader(session, reader).timezone is None


@pytest.mark.parametrize("zone", ["", "Berlin", "localtime", "../../etc/passwd", "Europe/Berlin\0", "+02:00"])
def test_what_is_no_zone_is_refused(session: Session, reader: int, zone: str) -> None:
    with pytest.raises(BadChoice, match="is no time zone; write a name like Europe/London"):
        choices.set_time(session, reader, send_hour=7, timezone=zone)


@pytest.mark.parametrize("language", ["", "klingon", "en-XX-YY-ZZ", "e" * 5_000, "de\0", "en@" + "x" * 40])
def test_what_is_no_language_is_refused(session: Session, reader: int, language: str) -> None:
    with pytest.raises(BadChoice, match="is no language; write en-GB, de or ar"):
        choices.set_language(session, reader, language)


def test_only_a_frequency_that_there_is_can_be_chosen(session: Session, reader: int) -> None:
    choices.set_frequency(session, reader, BRIEFING, "weekly", offered=[Rhythm.DAILY, Rhythm.WEEKLY])
    assert choices.of_subscription(session, reader, BRIEFING, now=NOW).rhythm is Rhythm.WEEKLY
    with pytest.raises(BadChoice, match="'daily' is no frequency of this newsletter; there is weekly"):
        choices.set_frequency(session, reader, BRIEFING, "daily", offered=[Rhythm.WEEKLY])
    with pytest.raises(BadChoice, match="there is none to choose from"):
        choices.set_frequency(session, reader, BRIEFING, "weekly", offered=[])
    choices.set_frequency(session, reader, BRIEFING, None, offered=[])
    assert choices.of_subscription(session, reader, BRIEFING, now=NOW).rhythm is None


def test_a_pause_lasts_its_weeks_and_can_be_ended(session: Session, reader: int) -> None:
    until = choices.pause(session, reader, BRIEFING, weeks=2, now=NOW)
    assert until == NOW + timedelta(weeks=2)
    assert choices.of_subscription(session, reader, BRIEFING, now=NOW).paused_until == until
    assert choices.of_subscription(session, reader, BRIEFING, now=until).paused_until is None
    choices.resume(session, reader, BRIEFING)
    choices.resume(session, reader, BRIEFING)
    assert choices.of_subscription(session, reader, BRIEFING, now=NOW).paused_until is None


@pytest.mark.parametrize("weeks", [-1, 0, 53, 10**9])
def test_a_pause_of_no_week_or_of_years_is_refused(session: Session, reader: int, weeks: int) -> None:
    with pytest.raises(BadChoice, match="A pause lasts 1 to 52 weeks"):
        choices.pause(session, reader, BRIEFING, weeks=weeks, now=NOW)


def test_nothing_is_chosen_for_a_newsletter_that_nobody_asked_for(session: Session, reader: int) -> None:
    for choose in (
        lambda: choices.pause(session, reader, 99, weeks=1, now=NOW),
        lambda: choices.resume(session, reader, 99),
        lambda: choices.set_frequency(session, reader, 99, None, offered=[]),
        lambda: choices.of_subscription(session, reader, 99, now=NOW),
    ):
        with pytest.raises(NotSubscribed):
            choose()
