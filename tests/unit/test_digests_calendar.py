"""When issues are due, also where clocks are put forward and back: laws first, then known dates."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.digests.calendar import (
    BadSchedule,
    Frequency,
    Schedule,
    Slot,
    Weekday,
    latest_slot,
    next_slot,
    parse_time,
    parse_weekday,
    parse_zone,
    period_label,
)

ZONES = sorted(name for name in available_timezones() if "/" in name)
# Antarctica/Troll moves its clocks by two hours.
NEAR_A_DAY = {timedelta(minutes=minutes) for minutes in range(22 * 60, 26 * 60 + 1, 30)}
zones = st.sampled_from(ZONES)
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
schedules = st.builds(Schedule, at=times, tz=zones, weekday=st.none() | st.sampled_from(Weekday))


def slots_from(schedule: Schedule, start: datetime, count: int) -> list[Slot]:
    slots = [latest_slot(schedule, now=start)]
    while len(slots) < count:
        slots.append(next_slot(schedule, now=slots[-1].at))
    return slots


@given(schedules, moments)
def test_now_lies_between_the_latest_slot_and_the_next(schedule: Schedule, now: datetime) -> None:
    latest, following = latest_slot(schedule, now=now), next_slot(schedule, now=now)

    assert latest.at <= now < following.at
    assert next_slot(schedule, now=latest.at) == following
    assert latest_slot(schedule, now=following.at) == following
    assert latest_slot(schedule, now=following.at - timedelta(microseconds=1)) == latest


@given(schedules, moments)
def test_moments_and_dates_both_grow_and_each_date_comes_once(schedule: Schedule, start: datetime) -> None:
    slots = slots_from(schedule, start, 12)

    for earlier, later in pairwise(slots):
        assert earlier.at < later.at
        assert earlier.date < later.date


@given(schedules.filter(lambda schedule: schedule.weekday is not None), moments)
def test_a_weekly_issue_is_due_once_a_week_on_its_weekday(schedule: Schedule, start: datetime) -> None:
    slots = slots_from(schedule, start, 6)

    assert {slot.date.weekday() for slot in slots} == {schedule.weekday}
    assert {later.date - earlier.date for earlier, later in pairwise(slots)} == {timedelta(days=7)}


@given(schedules.filter(lambda schedule: schedule.weekday is None), moments)
def test_a_daily_issue_is_due_once_on_every_date_that_exists(schedule: Schedule, start: datetime) -> None:
    zone = ZoneInfo(schedule.tz)
    for earlier, later in pairwise(slots_from(schedule, start, 12)):
        missed = [earlier.date + timedelta(days=days) for days in range(1, (later.date - earlier.date).days)]
        hours = [earlier.at + timedelta(minutes=15 * step) for step in range(4 * 72)]
        assert not {hour.astimezone(zone).date() for hour in hours} & set(missed)


def test_half_past_two_comes_once_a_date_in_every_zone() -> None:
    for zone in ZONES:
        slots = slots_from(Schedule(time(2, 30), zone), datetime(2026, 1, 1, tzinfo=UTC), 366)

        assert {later.date - earlier.date for earlier, later in pairwise(slots)} == {timedelta(days=1)}, zone
        assert {later.at - earlier.at for earlier, later in pairwise(slots)} <= NEAR_A_DAY, zone


def test_an_hour_that_is_skipped_is_due_once_right_after_the_jump() -> None:
    schedule = Schedule(time(2, 30), "Europe/Berlin")
    slot = latest_slot(schedule, now=datetime(2026, 3, 29, 12, tzinfo=UTC))

    assert slot == Slot(date(2026, 3, 29), datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    assert slot.at.astimezone(ZoneInfo("Europe/Berlin")).time() == time(3, 30)


def test_an_hour_that_comes_twice_is_due_the_first_time_only() -> None:
    schedule = Schedule(time(2, 30), "Europe/Berlin")
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert latest_slot(schedule, now=first) == latest_slot(schedule, now=second) == Slot(date(2026, 10, 25), first)


def test_a_date_that_never_was_has_no_daily_issue() -> None:
    slots = slots_from(Schedule(time(7), "Pacific/Apia"), datetime(2011, 12, 29, 20, tzinfo=UTC), 3)

    assert [slot.date.day for slot in slots] == [29, 31, 1]


def test_a_weekly_issue_on_a_date_that_never_was_is_still_due() -> None:
    schedule = Schedule(time(7), "Pacific/Apia", Weekday.FRIDAY)

    assert next_slot(schedule, now=datetime(2011, 12, 29, 20, tzinfo=UTC)).date == date(2011, 12, 30)


@pytest.mark.parametrize(
    ("frequency", "day", "label"),
    [
        (Frequency.DAILY, date(2026, 11, 24), "2026-11-24"),
        (Frequency.BY_HAND, date(2026, 11, 24), "2026-11-24"),
        (Frequency.WEEKLY, date(2026, 11, 16), "2026-W47"),
        (Frequency.WEEKLY, date(2027, 1, 1), "2026-W53"),
        (Frequency.WEEKLY, date(2025, 12, 29), "2026-W01"),
    ],
)
def test_periods_have_names(frequency: Frequency, day: date, label: str) -> None:
    assert period_label(frequency, day) == label


def test_times_weekdays_and_zones_are_read_as_people_write_them() -> None:
    assert [parse_time(text) for text in ("07:00", "7:05", " 23:59 ")] == [time(7), time(7, 5), time(23, 59)]
    assert [parse_weekday(text) for text in ("monday", "Thu", "SU")] == [0, 3, 6]
    assert [parse_zone(text) for text in ("Europe/London", "america/new_york", "utc")] == [
        "Europe/London",
        "America/New_York",
        "UTC",
    ]


@pytest.mark.parametrize("text", ["", "7", "24:00", "07:60", "07:0", "7am", "-1:00", "٠٧:٠٠", "07:00:00", "0x:10"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadSchedule, match="is no time of day; write 07:00"):
        parse_time(text)


@pytest.mark.parametrize("text", ["", "m", "t", "s", "Montag", "mondays", "8"])
def test_what_is_no_weekday_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadSchedule, match="is no weekday; write monday"):
        parse_weekday(text)


@pytest.mark.parametrize("text", ["", "London", "Europe/Londno", "../../etc/passwd", "localtime", "+01:00"])
def test_what_is_no_zone_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadSchedule, match="is no time zone; write a name like Europe/London"):
        parse_zone(text)
