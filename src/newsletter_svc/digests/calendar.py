"""When an issue is due: local dates and hours, also where clocks are put forward and back. No database here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum, StrEnum
from zoneinfo import ZoneInfo

from newsletter_svc import zones
from newsletter_svc.errors import NewsletterError

_DAY = timedelta(days=1)


class BadSchedule(NewsletterError):
    """A schedule that cannot be kept; the text says why, such as `'25:00' is no time of day; write 07:00.`"""


class Frequency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    BY_HAND = "by_hand"
    """Issues appear only when somebody sends one."""


class Weekday(IntEnum):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


@dataclass(frozen=True)
class Schedule:
    """Every day, or every `weekday`, at the local time `at` in the zone `tz`, e.g. `Europe/London`."""

    at: time
    tz: str
    weekday: Weekday | None = None

    @property
    def frequency(self) -> Frequency:
        return Frequency.DAILY if self.weekday is None else Frequency.WEEKLY


@dataclass(frozen=True, order=True)
class Slot:
    """One time at which an issue is due: the local date that names it, and the moment in UTC."""

    date: date
    at: datetime


def latest_slot(schedule: Schedule, *, now: datetime) -> Slot:
    """Return the last slot that is not after `now`."""
    today = now.astimezone(zones.named(schedule.tz)).date()
    # Tomorrow first: where clocks jump over midnight, tomorrow's slot can have passed already.
    return next(slot for slot in _slots(schedule, start=today + _DAY, step=-_DAY) if slot.at <= now)


def next_slot(schedule: Schedule, *, now: datetime) -> Slot:
    """Return the first slot after `now`."""
    today = now.astimezone(zones.named(schedule.tz)).date()
    return next(slot for slot in _slots(schedule, start=today - _DAY, step=_DAY) if slot.at > now)


def moment_of(day: date, at: time, tz: str) -> datetime:
    """When it is `at` on this local date, in UTC: one moment also where clocks skip that hour or show it twice."""
    return _instant(day, at, zones.named(tz))


def period_label(frequency: Frequency, day: date) -> str:
    """Return the name of the period: `2026-W47` for a weekly issue, else `2026-11-24`."""
    if frequency is Frequency.WEEKLY:
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    return day.isoformat()


def parse_time(text: str) -> time:
    """Return `07:00` as a time of day. Raises BadSchedule."""
    hour, colon, minute = text.strip().partition(":")
    if colon and len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit() and len(hour) in (1, 2):
        try:
            return time(int(hour), int(minute))
        except ValueError:
            pass
    raise BadSchedule(f"{text!r} is no time of day; write 07:00 or 18:30.")


def parse_weekday(text: str) -> Weekday:
    """Return `monday`, `Mon` or `mo` as a weekday. Raises BadSchedule."""
    wanted = text.strip().upper()
    found = [day for day in Weekday if len(wanted) >= 2 and day.name.startswith(wanted)]
    if len(found) != 1:
        raise BadSchedule(f"{text!r} is no weekday; write monday, tuesday or so on.")
    return found[0]


def parse_zone(text: str) -> str:
    """Return the name of a time zone as the database of time zones spells it. Raises BadSchedule."""
    zone = zones.spelled(text)
    if zone is None:
        raise BadSchedule(f"{text!r} is no time zone; write a name like Europe/London or UTC.")
    return zone


def _slots(schedule: Schedule, *, start: date, step: timedelta) -> Iterator[Slot]:
    day = start
    while True:
        slot = _slot(schedule, day)
        if slot is not None:
            yield slot
        day += step


def _slot(schedule: Schedule, day: date) -> Slot | None:
    zone = zones.named(schedule.tz)
    if schedule.weekday is None:
        # Samoa went from 29 to 31 December 2011; the 30th had no morning.
        return Slot(day, _instant(day, schedule.at, zone)) if _exists(day, zone) else None
    return Slot(day, _instant(day, schedule.at, zone)) if day.weekday() == schedule.weekday else None


def _instant(day: date, at: time, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    # With fold=0 an hour that comes twice means the first one, and an hour that is skipped means as long after the
    # jump as it would have been: 02:30 becomes 03:30. So each local date has one moment.
    return datetime.combine(day, at.replace(fold=fold), tzinfo=zone).astimezone(UTC)


def _exists(day: date, zone: ZoneInfo) -> bool:
    ends = (_instant(day, time.min, zone), _instant(day, time.max, zone, fold=1))
    return any(end.astimezone(zone).date() == day for end in ends)
