"""The local times of an edition: in which zones and at which hours its readers want it, and when each is due."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from newsletter_svc.db import change
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.digests.calendar import Schedule, latest_slot, moment_of
from newsletter_svc.digests.models import Digest, DigestSlot
from newsletter_svc.subscribers.models import Subscriber

MINUTES = 60


class LocalTime(NamedTuple):
    """A time of day in one zone, which all who chose both share."""

    tz: str
    minute: int
    """Of the day: 420 is 07:00."""

    @property
    def at(self) -> time:
        return time(*divmod(self.minute, MINUTES))

    def moment(self, day: date) -> datetime:
        """When it is that time on this local date, once for every date."""
        return moment_of(day, self.at, self.tz)


def own_time(schedule: Schedule) -> LocalTime:
    """When the edition comes to readers who chose no time."""
    return LocalTime(schedule.tz, schedule.at.hour * MINUTES + schedule.at.minute)


def chosen_times(session: Session, schedule: Schedule, *, readers: Select[Any]) -> set[LocalTime]:
    """The times that some of the readers chose, and the edition's own. Looks only at those who chose one."""
    # In the words of the index that holds only these; whether they are readers is asked of each of them, since the
    # database would otherwise begin with all readers.
    chooser = aliased(Subscriber)
    chose = or_(chooser.send_hour.is_not(None), chooser.timezone.is_not(None))
    is_reader = readers.where(Subscriber.id == chooser.id).exists()
    rows = session.execute(select(chooser.timezone, chooser.send_hour).where(chose, is_reader).distinct())
    own = own_time(schedule)
    return {own} | {
        LocalTime(own.tz if tz is None else tz, own.minute if hour is None else hour * MINUTES) for tz, hour in rows
    }


def latest_day(schedule: Schedule, times: Collection[LocalTime], *, now: datetime) -> date:
    """The last date whose slot has come somewhere: the zones that are ahead begin a day for all."""
    return max(latest_slot(replace(schedule, at=each.at, tz=each.tz), now=now).date for each in times)


def put_on_record(session: Session, digest: Digest, times: Collection[LocalTime], *, day: date) -> None:
    """Note when the issue of this date is due for whom."""
    session.add_all(
        DigestSlot(digest_id=digest.id, tz=each.tz, minute=each.minute, due_at=each.moment(day)) for each in times
    )
    session.flush()


def is_of(digest: Digest, schedule: Schedule) -> ColumnElement[bool]:
    """A condition that joins a subscriber to the slot of the digest that is theirs."""
    own = own_time(schedule)
    return and_(
        DigestSlot.digest_id == digest.id,
        DigestSlot.tz == func.coalesce(Subscriber.timezone, own.tz),
        DigestSlot.minute == func.coalesce(Subscriber.send_hour * MINUTES, own.minute),
    )


def count_readers(session: Session, digest: Digest, mailing_id: int) -> int:
    """Note how many readers each slot has; return how many there are in all."""
    by_moment = select(Delivery.due_at, func.count()).where(Delivery.mailing_id == mailing_id).group_by(Delivery.due_at)
    counts = dict(session.execute(by_moment).all())
    for due_at, readers in counts.items():
        at_that_moment = (DigestSlot.digest_id == digest.id, DigestSlot.due_at == due_at)
        change(session, update(DigestSlot).where(*at_that_moment).values(readers=readers))
    return sum(counts.values())
