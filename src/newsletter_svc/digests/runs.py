"""When somebody asks for issues: those that are due, or one by hand; each made once, however many ask."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from newsletter_svc.db import Database, insert_if_absent
from newsletter_svc.digests import editions, recipients, slots
from newsletter_svc.digests.calendar import Schedule, next_slot, period_label
from newsletter_svc.digests.issues import Due, NothingNew, Press, Published, local_date, publish
from newsletter_svc.digests.models import Edition, EditionRun, RunOutcome
from newsletter_svc.errors import NewsletterError
from newsletter_svc.locks import was_locked
from newsletter_svc.subscribers.models import Newsletter

LOCK_TRIES = 6
"""Each lasts until the database itself gives up waiting, after five seconds."""

log = structlog.get_logger()


class Outcome(StrEnum):
    PUBLISHED = "published"
    NOTHING_NEW = "nothing_new"
    ALREADY_RUN = "already_run"
    """Somebody else made this period's issue, or found nothing new for it."""
    NOT_DUE = "not_due"
    """The schedule is new and its first slot is still to come."""
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """What became of one edition when it was asked for its issue."""

    newsletter: str
    period: str
    outcome: Outcome
    digest_id: int | None = None
    articles: int = 0
    skipped: int = 0
    recipients: int = 0
    reason: str | None = None
    """Why it failed."""


def send_now(session: Session, newsletter: Newsletter, *, tz: str, press: Press, now: datetime) -> Run:
    """One more issue by hand, of everything that is new; the schedule goes on as it was."""
    edition = editions.lock(session, editions.edition_of(session, newsletter.id, tz=tz, now=now).id)
    period = local_date(edition, now).isoformat()
    return _run(newsletter.slug, period, publish(session, edition, press=press, now=now))


def run_due(database: Database, *, press: Press, now: datetime) -> list[Run]:
    """Make every issue that is due, each in a transaction of its own: one that fails does not undo the others.

    Only the latest slot counts, so after days without cron there is one issue with everything, not one for each day.
    """
    with database.reading() as session:
        due = editions.scheduled(session)
    runs = (_run_safely(database, edition_id, newsletter, press=press, now=now) for edition_id, newsletter in due)
    return [run for run in runs if run is not None]


def _run_safely(database: Database, edition_id: int, newsletter: str, *, press: Press, now: datetime) -> Run | None:
    try:
        return _run_in_turn(database, edition_id, newsletter, press=press, now=now)
    except Exception as error:
        # The other editions go on, and the slot is not on record: the next trigger tries it again. Of other errors
        # than our own only the class is told: a database's words quote rows, and rows hold addresses.
        reason = str(error) if isinstance(error, NewsletterError) else type(error).__name__
        log.error("edition_failed", edition=edition_id, reason=reason)
        return Run(newsletter, period="", outcome=Outcome.FAILED, reason=reason)


def _run_in_turn(database: Database, edition_id: int, newsletter: str, *, press: Press, now: datetime) -> Run | None:
    """Wait for the lock longer than a reader in front of a page may: whoever has it is making this very issue.

    Mostly nothing is due, and to find that out takes no lock.
    """
    with database.reading() as session:
        found = _look(session, session.get_one(Edition, edition_id), newsletter, now=now)
    if not isinstance(found, Due):
        return found
    tries = 0
    while True:
        try:
            with database.transaction() as session:
                return run_edition(session, edition_id, newsletter, press=press, now=now)
        except OperationalError as error:
            tries += 1
            if tries == LOCK_TRIES or not was_locked(error):
                raise


def run_edition(session: Session, edition_id: int, newsletter: str, *, press: Press, now: datetime) -> Run | None:
    """Make the issue of the latest date unless that has been seen to; None for an edition without a schedule.

    It is made when the date's hour has come for the first of its readers, in whichever zone; the others are owed it too
    and get it when it is their time.
    """
    edition = editions.lock(session, edition_id)
    due = _look(session, edition, newsletter, now=now)
    if not isinstance(due, Due):
        return due
    period = period_label(due.schedule.frequency, due.day)
    if not _take(session, edition, due.day, now=now):
        return Run(newsletter, period, Outcome.ALREADY_RUN)
    result = publish(session, edition, press=press, now=now, due=due)
    if isinstance(result, Published):
        record = session.get_one(EditionRun, (edition.id, due.day))
        record.outcome = RunOutcome.PUBLISHED
        record.digest_id = result.digest_id
    return _run(newsletter, period, result)


def _look(session: Session, edition: Edition, newsletter: str, *, now: datetime) -> Due | Run | None:
    """What is due, or else what there is to say; a date is seen to when it, or a later one, is on record.

    The later one counts too, so that a clock that went back makes no second issue.
    """
    schedule = edition.schedule
    if schedule is None:
        return None
    due = _latest(session, edition, schedule, now=now)
    if slots.own_time(schedule).moment(due.day) < edition.schedule_set_at:
        return Run(newsletter, period_label(schedule.frequency, next_slot(schedule, now=now).date), Outcome.NOT_DUE)
    last = session.scalars(select(func.max(EditionRun.slot_date)).where(EditionRun.edition_id == edition.id)).one()
    if last is not None and due.day <= last:
        return Run(newsletter, period_label(schedule.frequency, due.day), Outcome.ALREADY_RUN)
    return due


def _latest(session: Session, edition: Edition, schedule: Schedule, *, now: datetime) -> Due:
    """The last date that has come for any reader of the edition."""
    times = slots.chosen_times(session, schedule, readers=recipients.readers_of(session, edition))
    return Due(slots.latest_day(schedule, times, now=now), schedule, times)


def _take(session: Session, edition: Edition, day: date, *, now: datetime) -> bool:
    """Put the date on record; False when it is there already."""
    values = {
        "edition_id": edition.id,
        "slot_date": day,
        "outcome": RunOutcome.NOTHING_NEW,
        "ran_at": now,
    }
    return insert_if_absent(session, EditionRun, values, unique=["edition_id", "slot_date"])


def _run(newsletter: str, period: str, result: Published | NothingNew) -> Run:
    if isinstance(result, NothingNew):
        return Run(newsletter, period, Outcome.NOTHING_NEW)
    return Run(
        newsletter,
        period,
        Outcome.PUBLISHED,
        digest_id=result.digest_id,
        articles=result.articles,
        skipped=result.skipped,
        recipients=result.recipients,
    )
