"""Dates, times, lengths of time, numbers and lists as the publication's language writes them; filters of templates."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.lists import format_list
from babel.numbers import format_decimal
from babel.units import format_unit


class Localised:
    """Speaks one language, such as `en-GB`, and tells times in one zone."""

    def __init__(self, language: str, *, timezone: str) -> None:
        self._locale = Locale.parse(language, sep="-")
        self._zone = ZoneInfo(timezone)

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return what templates call: `{{ day|full_date }}`."""
        return {
            "full_date": self.full_date,
            "long_date": self.long_date,
            "weekday": self.weekday,
            "moment": self.moment,
            "minutes": self.minutes,
            "hours": self.hours,
            "number": self.number,
            "listed": self.listed,
        }

    def full_date(self, day: date) -> str:
        """`Tuesday, 24 November 2026`."""
        return format_date(day, "full", locale=self._locale)

    def long_date(self, day: date) -> str:
        """`24 November 2026`."""
        return format_date(day, "long", locale=self._locale)

    def weekday(self, day: date) -> str:
        """`Tuesday`."""
        return format_date(day, "EEEE", locale=self._locale)

    def moment(self, when: datetime) -> str:
        """`24 November 2026, 17:05 (Europe/London)`."""
        local = when.astimezone(self._zone)
        pattern = str(get_datetime_format("long", locale=self._locale)).replace("'", "")
        time = format_time(local, "short", locale=self._locale)
        return f"{pattern.format(time, self.long_date(local))} ({self._zone.key})"

    def time(self, at: time) -> str:
        """`17:05`."""
        return format_time(at, "short", locale=self._locale)

    def minutes(self, number: int) -> str:
        """`20 minutes`."""
        return self._length("duration-minute", number)

    def hours(self, number: int) -> str:
        """`48 hours`."""
        return self._length("duration-hour", number)

    def weeks(self, number: int) -> str:
        """`2 weeks`."""
        return self._length("duration-week", number)

    def number(self, number: float) -> str:
        """`1,234`."""
        return format_decimal(number, locale=self._locale)

    def listed(self, words: Sequence[str]) -> str:
        """`Briefing, Weekend and Letters`."""
        return format_list(list(words), locale=self._locale)

    def _length(self, unit: str, number: int) -> str:
        written = format_unit(number, unit, "long", locale=self._locale)
        # Babel does not follow the reference of a language whose long form is its short one, such as Japanese.
        return format_unit(number, unit, "short", locale=self._locale) if unit in written else written
