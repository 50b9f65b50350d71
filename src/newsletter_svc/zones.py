"""The names of time zones, as the database of time zones spells them."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones


def spelled(text: str) -> str | None:
    """Return `Europe/London` for `europe/london`; None for what is no zone."""
    return _names().get(text.strip().lower())


@cache
def named(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def places() -> list[str]:
    """The zones that are named for a place, and UTC: what people choose from."""
    return sorted(name for name in _names().values() if name == "UTC" or name.partition("/")[0] in _AREAS)


_AREAS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
"""Names such as `US/Eastern` or `Etc/GMT+5` are older, or mislead, and each has another."""


@cache
def _names() -> dict[str, str]:
    # "localtime" and the like mean another zone on another machine.
    return {name.lower(): name for name in available_timezones() if "/" in name or name == "UTC"}
