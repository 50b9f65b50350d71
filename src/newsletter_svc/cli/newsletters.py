"""`newsletter newsletters`: the streams one can subscribe to, and when each comes."""

import json
from collections.abc import Callable
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
from newsletter_svc.digests.models import Edition
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

    def onto(self, edition: Edition | None, *, default_tz: str) -> Schedule | None:
        """The schedule that is wanted; None where no option speaks of it. Raises click.UsageError."""
        if not (self.daily or self.weekday is not None or self.at or self.tz):
            return None
        old = edition.schedule if edition else None
        if self.daily and self.weekday is not None:
            raise click.UsageError("Choose --daily or --weekly, not both.")
        if old is None and not self.daily and self.weekday is None:
            raise click.UsageError("--at and --tz need --daily or --weekly.")
        weekday = self.weekday if self.daily or self.weekday is not None or old is None else old.weekday
        return Schedule(
            at=self.at or (old.at if old else DEFAULT_TIME),
            tz=self.tz or (old.tz if old else default_tz),
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
        edition = _schedule(session, newsletter.id, Wish(**wish), default_tz=parts.settings.timezone, now=now)
    click.echo(f"{slug}: {rhythm(edition, now=now)}")


@newsletters.command("set")
@click.argument("slug")
@_schedule_options
@with_parts
def set_(parts: Parts, slug: str, **wish: Any) -> None:
    """Set when a newsletter comes. Issues of before that hour are not made up for."""
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter = streams.get(session, slug)
        edition = _schedule(session, newsletter.id, Wish(**wish), default_tz=parts.settings.timezone, now=now)
    click.echo(f"{slug}: {rhythm(edition, now=now)}")


@newsletters.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@with_parts
def list_(parts: Parts, as_json: bool) -> None:
    """List the newsletters with the time of their next issue."""
    now = utcnow()
    with parts.database.reading() as session:
        rows = [
            {"slug": each.slug, "title": each.title, "schedule": rhythm(editions.find(session, each.id), now=now)}
            for each in streams.listed(session)
        ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(f"{row['slug']}  {row['title']}  ({row['schedule']})")


def rhythm(edition: Edition | None, *, now: datetime) -> str:
    """`weekly on Tuesday at 07:00 Europe/London, next on 2026-12-01`."""
    schedule = edition.schedule if edition else None
    if schedule is None:
        return "sent by hand"
    day = f" on {schedule.weekday.name.capitalize()}" if schedule.weekday is not None else ""
    upcoming = next_slot(schedule, now=now).date
    return f"{schedule.frequency}{day} at {schedule.at:%H:%M} {schedule.tz}, next on {upcoming}"


def _schedule(session: Session, newsletter_id: int, wish: Wish, *, default_tz: str, now: datetime) -> Edition | None:
    edition = editions.find(session, newsletter_id)
    schedule = wish.onto(edition, default_tz=default_tz)
    return edition if schedule is None else editions.set_schedule(session, newsletter_id, schedule, now=now)
