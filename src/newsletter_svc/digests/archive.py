"""Past issues, as everybody may see them: one in a browser, and the list of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from newsletter_svc.articles.models import Article
from newsletter_svc.delivery.models import Mailing, MailingState
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import Digest, DigestArticle, Edition, WebVersion
from newsletter_svc.mail import slots


@dataclass(frozen=True)
class PastIssue:
    """One line of the archive; `titles` are those of its articles."""

    public_id: str
    subject: str
    made_at: datetime
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Some past issues, newest first."""

    issues: tuple[PastIssue, ...]
    has_older: bool


def web_version(session: Session, public_id: str, *, neutral_url: str) -> str | None:
    """The issue as a page for everybody; None where there is none of this name.

    An issue that was made before there were web versions is shown as its mail was. What stood there for each reader
    becomes `neutral_url`, an address that gives nobody any power.
    """
    found = session.execute(
        select(Digest.html_body, WebVersion.html)
        .outerjoin(WebVersion, WebVersion.digest_id == Digest.id)
        .where(Digest.public_id == public_id)
    ).one_or_none()
    if found is None:
        return None
    mail, page = found
    return page if page is not None else slots.fill_text(mail, dict.fromkeys(slots.split(mail)[1::2], neutral_url))


def past_issues(session: Session, *, newsletter_id: int | None = None, page: int, per_page: int) -> Page:
    """One page of the list, the first is 1. Issues whose sending was cancelled are not in it."""
    is_cancelled = select(Mailing.id).where(
        Mailing.kind == KIND, Mailing.subject_id == cast(Digest.id, String), Mailing.state == MailingState.CANCELLED
    )
    query = (
        select(Digest.id, Digest.public_id, Digest.subject, Digest.created_at)
        .join(Edition, Digest.edition_id == Edition.id)
        .where(~is_cancelled.exists())
        .order_by(Digest.id.desc())
        .offset((page - 1) * per_page)
        .limit(per_page + 1)
    )
    if newsletter_id is not None:
        query = query.where(Edition.newsletter_id == newsletter_id)
    rows = session.execute(query).all()
    shown = rows[:per_page]
    titles = _titles(session, [row.id for row in shown])
    issues = tuple(PastIssue(row.public_id, row.subject, row.created_at, titles.get(row.id, ())) for row in shown)
    return Page(issues, has_older=len(rows) > per_page)


def _titles(session: Session, digest_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    query = (
        select(DigestArticle.digest_id, Article.title)
        .join(Article, DigestArticle.article_id == Article.id)
        .where(DigestArticle.digest_id.in_(digest_ids))
        .order_by(DigestArticle.digest_id, DigestArticle.position)
    )
    titles: dict[int, tuple[str, ...]] = {}
    for digest_id, title in session.execute(query):
        titles[digest_id] = (*titles.get(digest_id, ()), title)
    return titles
