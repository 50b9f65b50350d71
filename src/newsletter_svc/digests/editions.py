"""The editions of a newsletter: in which rhythms it comes, and what is new for each of them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter_svc.articles.models import Article
from newsletter_svc.db import insert_if_absent
from newsletter_svc.digests.calendar import Frequency, Schedule
from newsletter_svc.digests.models import Digest, DigestArticle, Edition
from newsletter_svc.subscribers.models import Newsletter, Rhythm


def find(session: Session, newsletter_id: int) -> Edition | None:
    """The newsletter's own edition, for readers who chose none; None while nobody has set a schedule or sent an issue.

    It is the oldest that comes by itself, or else the one that is sent by hand.
    """
    found = all_of(session, newsletter_id)
    return found[0] if found else None


def all_of(session: Session, newsletter_id: int) -> Sequence[Edition]:
    """The newsletter's own edition, then the other one that readers can choose, then what comes by itself no more."""
    query = select(Edition).where(Edition.newsletter_id == newsletter_id)
    return session.scalars(query.order_by(Edition.frequency == Frequency.BY_HAND, Edition.created_at, Edition.id)).all()


def edition_of(session: Session, newsletter_id: int, *, tz: str, now: datetime) -> Edition:
    """The newsletter's own edition; where nobody has set a schedule, one sent by hand and dated in the zone `tz`."""
    values = {
        "newsletter_id": newsletter_id,
        "frequency": Frequency.BY_HAND,
        "tz": tz,
        "schedule_set_at": now,
        "created_at": now,
    }
    found = find(session, newsletter_id)
    if found is None:
        insert_if_absent(session, Edition, values, unique=["newsletter_id", "frequency"])
        found = find(session, newsletter_id)
    assert found is not None  # noqa: S101 - it was there, or has just been made by us or by somebody else.
    return found


def set_schedule(session: Session, newsletter_id: int, *schedules: Schedule, now: datetime) -> Sequence[Edition]:
    """Let the newsletter come in these rhythms from now on, daily or weekly or both; return the editions that do.

    An edition whose rhythm changes stays the same one, so that what it has carried is not carried again and what it has
    not is not lost. One that joins another begins where that one is; one that ends rests until there is use for it.
    """
    lock(session, edition_of(session, newsletter_id, tz=schedules[0].tz, now=now).id)
    wanted = {schedule.frequency: schedule for schedule in schedules}
    editions = all_of(session, newsletter_id)
    kept = [edition for edition in editions if edition.frequency in wanted]
    others = [edition for edition in editions if edition.frequency not in wanted]
    there_are = {edition.frequency for edition in kept}
    for frequency, schedule in wanted.items():
        if frequency in there_are:
            continue
        edition = others.pop(0) if others else _new(newsletter_id, schedule, now=now)
        if kept:
            _join(session, edition, now=now)
        edition.frequency = frequency
        session.add(edition)
        kept.append(edition)
    for edition in others:
        edition.frequency = Frequency.BY_HAND
    for edition in kept:
        _keep_time(edition, wanted[edition.frequency], now=now)
    session.flush()
    return all_of(session, newsletter_id)[: len(kept)]


def scheduled(session: Session) -> list[tuple[int, str]]:
    """The id of every edition that comes by itself, with the slug of its newsletter."""
    query = (
        select(Edition.id, Newsletter.slug)
        .join(Newsletter, Edition.newsletter_id == Newsletter.id)
        .where(Edition.frequency != Frequency.BY_HAND)
        .order_by(Edition.id)
    )
    return list(session.execute(query))


def offered(session: Session, newsletter_id: int) -> tuple[Rhythm, ...]:
    """The frequencies that readers of this newsletter can choose: those it has an edition for."""
    found = {edition.frequency for edition in all_of(session, newsletter_id)} - {Frequency.BY_HAND}
    return tuple(sorted(Rhythm(frequency.value) for frequency in found))


def lock(session: Session, edition_id: int) -> Edition:
    """The edition, held until the transaction ends: whoever makes an issue of it waits here for whoever is at it.

    The newsletter's other edition is held too: an issue by hand is for the readers of both. SQLite knows no row locks
    and needs none: its transactions are one writer after the other.
    """
    newsletter_id = select(Edition.newsletter_id).where(Edition.id == edition_id).scalar_subquery()
    session.scalars(
        select(Edition)
        .where(Edition.newsletter_id == newsletter_id)
        .order_by(Edition.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    return session.get_one(Edition, edition_id)


def new_articles(session: Session, edition: Edition, *, by_hand: bool = False) -> Sequence[Article]:
    """What the edition has not carried, in the order of first sight.

    An issue by hand goes to the readers of every edition, so it counts for all of them; and it takes (`by_hand`) only
    what none of them has had. Asked for each article by itself: a mark such as "the highest id carried" would lose
    those whose transaction was committed late.
    """
    carried = exists().where(DigestArticle.article_id == Article.id, DigestArticle.digest_id == Digest.id)
    if not by_hand:
        carried = carried.where(or_(DigestArticle.edition_id == edition.id, Digest.slot_date.is_(None)))
    query = select(Article).where(Article.newsletter_id == edition.newsletter_id, ~carried)
    if edition.carries_since is not None:
        query = query.where(Article.first_seen_at > edition.carries_since)
    return session.scalars(query.order_by(Article.first_seen_at, Article.id)).all()


def _new(newsletter_id: int, schedule: Schedule, *, now: datetime) -> Edition:
    return Edition(newsletter_id=newsletter_id, tz=schedule.tz, schedule_set_at=now, created_at=now)


def _join(session: Session, edition: Edition, *, now: datetime) -> None:
    """Begin beside an edition that is there, with what is new since the newsletter's last issue."""
    digests = select(func.max(Digest.created_at)).join(Edition)
    edition.carries_since = session.scalars(digests.where(Edition.newsletter_id == edition.newsletter_id)).one()
    # One that has rested is the younger of the two all the same.
    edition.created_at = now


def _keep_time(edition: Edition, schedule: Schedule, *, now: datetime) -> None:
    if edition.schedule != schedule:
        edition.weekday, edition.at, edition.tz = schedule.weekday, schedule.at, schedule.tz
        edition.schedule_set_at = now
