"""`newsletter newsletters`: the streams one can subscribe to, and when each comes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import click
from sqlalchemy.orm import Session

from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import editions
from newsletter_svc.digests.calendar import (
    BadSchedule,
    Schedule,
    Weekday,
    next_slot,
    parse_time,
    parse_weekday,
    parse_zone,
)
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters as streams

DEFAULT_TIME = time(7, 0)


@click.group()
def newsletters() -> None:
    """Make newsletters and set when they come."""


@dataclass(frozen=True)
class Wish:
    """What the options say of a schedule; what they leave open stays as it was."""

    daily: bool
    weekday: Weekday | None
    at: time | None
    tz: str | None

    def onto(self, old: Sequence[Schedule], *, default_tz: str) -> list[Schedule]:
        """The schedules that are wanted, daily and weekly; none where no option speaks. Raises click.UsageError."""
        if not (self.daily or self.weekday is not None or self.at or self.tz):
            return []
        weekdays = [None] * self.daily + [self.weekday] * (self.weekday is not None)
        if not weekdays and not old:
            raise click.UsageError("--at and --tz need --daily or --weekly.")
        return [
            self._timed(weekday, old, default_tz=default_tz) for weekday in weekdays or [each.weekday for each in old]
        ]

    def _timed(self, weekday: Weekday | None, old: Sequence[Schedule], *, default_tz: str) -> Schedule:
        """In this rhythm, at the time of before: that of the same rhythm, or else of the newsletter's own."""
        model = next((each for each in old if (each.weekday is None) == (weekday is None)), old[0] if old else None)
        return Schedule(
            at=self.at or (model.at if model else DEFAULT_TIME),
            tz=self.tz or (model.tz if model else default_tz),
            weekday=weekday,
        )


def _reading(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def read(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except BadSchedule as error:
            raise click.BadParameter(str(error)) from error

    return read


def _schedule_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--daily", is_flag=True, help="An issue every day."),
        click.option("--weekly", "weekday", metavar="DAY", callback=_reading(parse_weekday), help="One a week."),
        click.option("--at", metavar="HH:MM", callback=_reading(parse_time), help="Local time.  [default: 07:00]"),
        click.option("--tz", metavar="ZONE", callback=_reading(parse_zone), help="Such as Europe/London."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@newsletters.command()
@click.argument("slug")
@click.option("--title", help="What readers call it.  [default: made of the slug]")
@click.option("--description", default="", help="One sentence for the page on which one subscribes.")
@_schedule_options
@with_parts
def add(parts: Parts, slug: str, title: str | None, description: str, **wish: Any) -> None:
    """Make a newsletter."""
    now = utcnow()
    with parts.database.transaction() as session:
        title = title or slug.replace("-", " ").capitalize()
        newsletter = streams.add(session, slug, title=title, description=description, now=now)
        schedules = _schedule(session, newsletter.id, Wish(**wish), default_tz=parts.settings.timezone, now=now)
    click.echo(f"{slug}: {rhythms(schedules, now=now)}")


@newsletters.command("set")
@click.argument("slug")
@_schedule_options
@with_parts
def set_(parts: Parts, slug: str, **wish: Any) -> None:
    """Set when a newsletter comes. Issues of before that hour are not made up for.

    With --daily and --weekly readers can choose between the two; with one of them the other ends. The time is for
    readers who chose none of their own.
    """
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter = streams.get(session, slug)
        schedules = _schedule(session, newsletter.id, Wish(**wish), default_tz=parts.settings.timezone, now=now)
    click.echo(f"{slug}: {rhythms(schedules, now=now)}")


@newsletters.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@with_parts
def list_(parts: Parts, as_json: bool) -> None:
    """List the newsletters with the time of their next issue."""
    now = utcnow()
    with parts.database.reading() as session:
        rows = [
            {"slug": each.slug, "title": each.title, "schedule": rhythms(_schedules(session, each.id), now=now)}
            for each in streams.listed(session)
        ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(f"{row['slug']}  {row['title']}  ({row['schedule']})")


def rhythms(schedules: Sequence[Schedule], *, now: datetime) -> str:
    """Each as `rhythm` writes it; the first is for readers who chose none."""
    return "; ".join(rhythm(each, now=now) for each in schedules) or "sent by hand"


def rhythm(schedule: Schedule, *, now: datetime) -> str:
    """`weekly on Tuesday at 07:00 Europe/London, next on 2026-12-01`."""
    day = f" on {schedule.weekday.name.capitalize()}" if schedule.weekday is not None else ""
    upcoming = next_slot(schedule, now=now).date
    return f"{schedule.frequency}{day} at {schedule.at:%H:%M} {schedule.tz}, next on {upcoming}"


def _schedule(session: Session, newsletter_id: int, wish: Wish, *, default_tz: str, now: datetime) -> list[Schedule]:
    schedules = wish.onto(_schedules(session, newsletter_id), default_tz=default_tz)
    if schedules:
        editions.set_schedule(session, newsletter_id, *schedules, now=now)
    return _schedules(session, newsletter_id)


def _schedules(session: Session, newsletter_id: int) -> list[Schedule]:
    return [each.schedule for each in editions.all_of(session, newsletter_id) if each.schedule is not None]
