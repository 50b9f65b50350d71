"""Making an issue: freezing what is new in a digest and owing it to its readers."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter_svc.digests import editions, recipients, slots
from newsletter_svc.digests.calendar import Schedule
from newsletter_svc.digests.letter import UnknownDigest
from newsletter_svc.digests.models import Digest, DigestArticle, Edition, WebVersion
from newsletter_svc.digests.rendering import Heading, RenderedIssue, render_issue
from newsletter_svc.digests.slots import LocalTime
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.subscribers.models import Newsletter

log = structlog.get_logger()


@dataclass(frozen=True)
class Press:
    """What issues are made with: the templates, the domain that stands in Message-IDs, and our addresses."""

    composer: Composer
    message_domain: str
    links: Links


@dataclass(frozen=True)
class Published:
    """An issue that was made: how many articles it has, how many could not be rendered, how many readers get it."""

    digest_id: int
    articles: int
    skipped: int
    recipients: int


@dataclass(frozen=True)
class NothingNew:
    """No issue was made, since the edition has carried every article."""


@dataclass(frozen=True)
class Due:
    """What a scheduled issue is made for: the local date by this schedule, and the times at which readers want it."""

    day: date
    schedule: Schedule
    times: Collection[LocalTime]


def publish(
    session: Session, edition: Edition, *, press: Press, now: datetime, due: Due | None = None
) -> Published | NothingNew:
    """Freeze what is new in a digest and owe it: to the edition's readers when it is their time on the date.

    Without one it is an issue by hand, for all readers of the newsletter at once. The edition must be locked by this
    transaction.
    """
    articles = editions.new_articles(session, edition, by_hand=due is None)
    if not articles:
        return NothingNew()
    newsletter = session.get_one(Newsletter, edition.newsletter_id)
    day = due.day if due else local_date(edition, now)
    public_id = secrets.token_urlsafe(18)
    heading = Heading(newsletter.title, day, web_url=press.links.digest(public_id))
    issue = render_issue(press.composer, edition, articles, heading=heading)
    digest = _freeze(session, edition, issue, public_id=public_id, slot_date=due.day if due else None, now=now)
    readers = _owe(session, digest, edition, due, press=press, now=now)
    log.info("digest_published", digest=digest.id, edition=edition.id, articles=len(issue.articles), recipients=readers)
    skipped = len(articles) - len(issue.articles)
    return Published(digest.id, articles=len(issue.articles), skipped=skipped, recipients=readers)


def latest_digest_id(session: Session, newsletter_id: int) -> int | None:
    """The newsletter's last issue, whoever asked for it."""
    return session.scalars(
        select(func.max(Digest.id)).join(Edition).where(Edition.newsletter_id == newsletter_id)
    ).one()


def chosen_digest_id(session: Session, newsletter_id: int, number: int | None) -> int | None:
    """The issue with this number, or else the newsletter's latest; None where it has none. Raises UnknownDigest."""
    if number is None:
        return latest_digest_id(session, newsletter_id)
    if session.get(Digest, number) is None:
        raise UnknownDigest(number)
    return number


def local_date(edition: Edition, now: datetime) -> date:
    """The date that it is now where the edition appears."""
    return now.astimezone(ZoneInfo(edition.tz)).date()


def _owe(session: Session, digest: Digest, edition: Edition, due: Due | None, *, press: Press, now: datetime) -> int:
    domain = press.message_domain
    if due is None:
        return recipients.enqueue(session, digest, edition, message_domain=domain, now=now)
    slots.put_on_record(session, digest, due.times, day=due.day)
    return recipients.enqueue_for_slots(session, digest, edition, due.schedule, message_domain=domain, now=now)


def _freeze(
    session: Session, edition: Edition, issue: RenderedIssue, *, public_id: str, slot_date: date | None, now: datetime
) -> Digest:
    digest = Digest(
        public_id=public_id,
        edition_id=edition.id,
        slot_date=slot_date,
        subject=issue.mail.subject,
        text_body=issue.mail.text,
        html_body=issue.mail.html,
        created_at=now,
    )
    session.add(digest)
    session.flush()
    session.add(WebVersion(digest_id=digest.id, html=issue.page))
    session.add_all(
        DigestArticle(digest_id=digest.id, edition_id=edition.id, article_id=article.id, position=position)
        for position, article in enumerate(issue.articles, 1)
    )
    session.flush()
    return digest
