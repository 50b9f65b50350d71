"""The editions of a newsletter: in which rhythm it comes, and what is new for each of them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from newsletter_svc.articles.models import Article
from newsletter_svc.db import insert_if_absent
from newsletter_svc.digests.calendar import Frequency, Schedule
from newsletter_svc.digests.models import DigestArticle, Edition
from newsletter_svc.subscribers.models import Newsletter, Rhythm


def find(session: Session, newsletter_id: int) -> Edition | None:
    """The newsletter's edition; None while nobody has set a schedule or sent an issue."""
    return session.scalars(
        select(Edition).where(Edition.newsletter_id == newsletter_id).order_by(Edition.id).limit(1)
    ).one_or_none()


def edition_of(session: Session, newsletter_id: int, *, tz: str, now: datetime) -> Edition:
    """The newsletter's edition; where nobody has set a schedule, one that is sent by hand, dated in the zone `tz`."""
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


def set_schedule(session: Session, newsletter_id: int, schedule: Schedule, *, now: datetime) -> Edition:
    """Let the newsletter come in this rhythm from now on.

    The edition stays the same one, so that what it has carried is not carried again and what it has not is not lost.
    """
    edition = edition_of(session, newsletter_id, tz=schedule.tz, now=now)
    if edition.schedule != schedule:
        edition.frequency = schedule.frequency
        edition.weekday = schedule.weekday
        edition.at = schedule.at
        edition.tz = schedule.tz
        edition.schedule_set_at = now
        session.flush()
    return edition


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
    query = select(Edition.frequency).where(Edition.newsletter_id == newsletter_id)
    found = session.scalars(query.where(Edition.frequency != Frequency.BY_HAND))
    return tuple(sorted(Rhythm(each.value) for each in found))


def lock(session: Session, edition_id: int) -> Edition:
    """The edition, held until the transaction ends: whoever makes an issue of it waits here for whoever is at it.

    SQLite knows no row locks and needs none: its transactions are one writer after the other.
    """
    return session.scalars(
        select(Edition).where(Edition.id == edition_id).with_for_update().execution_options(populate_existing=True)
    ).one()


def new_articles(session: Session, edition: Edition) -> Sequence[Article]:
    """What the edition has not carried, in the order of first sight.

    Asked for each article by itself: a mark such as "the highest id carried" would lose those whose transaction was
    committed late.
    """
    carried = exists().where(DigestArticle.edition_id == edition.id, DigestArticle.article_id == Article.id)
    query = select(Article).where(Article.newsletter_id == edition.newsletter_id, ~carried)
    if edition.carries_since is not None:
        query = query.where(Article.first_seen_at > edition.carries_since)
    return session.scalars(query.order_by(Article.first_seen_at, Article.id)).all()
