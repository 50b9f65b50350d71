"""The names of time zones, as the database of time zones spells them."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones


def spelled(text: str) -> str | None:
    """Return `Europe/London` for `europe/london`; None for what is no zone."""
    return _names().get(text.strip().lower())


@cache
def named(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def _names() -> dict[str, str]:
    # "localtime" and the like mean another zone on another machine.
    return {name.lower(): name for name in available_timezones() if "/" in name or name == "UTC"}
