"""Keeping articles: adding drafts, each once however often it comes, and finding them again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import column, select, table
from sqlalchemy.orm import Session

from newsletter_svc.articles.addresses import safe_url
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.articles.identity import identity_of, slug_for
from newsletter_svc.articles.models import Article
from newsletter_svc.articles.plain_text import text_from_markdown
from newsletter_svc.articles.sanitising import html_from_markdown


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Stored:
    """What became of one draft."""

    article: Article
    outcome: Outcome


def add(
    session: Session, drafts: Iterable[ArticleDraft], *, newsletter_id: int, base_url: str, now: datetime
) -> list[Stored]:
    """Create or update articles of one newsletter; relative addresses are resolved on `base_url`."""
    _lock_newsletter(session, newsletter_id)
    return [_add_one(session, draft, newsletter_id=newsletter_id, base_url=base_url, now=now) for draft in drafts]


def listed(
    session: Session, *, newsletter_id: int | None = None, limit: int = 50, offset: int = 0
) -> Sequence[Article]:
    """Return articles by the date that they carry, newest first; of all newsletters where none is named."""
    query = select(Article).order_by(Article.published_at.desc(), Article.id.desc()).limit(limit).offset(offset)
    if newsletter_id is not None:
        query = query.where(Article.newsletter_id == newsletter_id)
    return session.scalars(query).all()


def by_slug(session: Session, slug: str, *, newsletter_id: int | None = None) -> Article | None:
    """Return the article with this slug, or None; the oldest one where several newsletters have it."""
    query = select(Article).where(Article.slug == slug).order_by(Article.id).limit(1)
    if newsletter_id is not None:
        query = query.where(Article.newsletter_id == newsletter_id)
    return session.scalars(query).first()


def _lock_newsletter(session: Session, newsletter_id: int) -> None:
    # Two imports of the same article at the same moment would both find it missing. One after the other they agree on
    # who creates it, and on its slug. (Key share: rows that point at the newsletter can still be made meanwhile.)
    newsletters = table("newsletters", column("id"))
    session.execute(
        select(newsletters.c.id).where(newsletters.c.id == newsletter_id).with_for_update(key_share=True)
    ).one()


def _add_one(session: Session, draft: ArticleDraft, *, newsletter_id: int, base_url: str, now: datetime) -> Stored:
    url = safe_url(draft.url, base_url=base_url) if draft.url else None
    identity = identity_of(url=url, title=draft.title)
    article = session.scalars(
        select(Article).where(Article.newsletter_id == newsletter_id, Article.identity == identity)
    ).one_or_none()
    if article is not None:
        return Stored(article, _update(article, _content(draft, url, base_url=base_url), draft.published, now=now))
    slug = _free_slug(session, slug_for(url=url, title=draft.title, identity=identity), newsletter_id)
    article = Article(
        newsletter_id=newsletter_id,
        identity=identity,
        slug=slug,
        published_at=_credible(draft.published, now=now) or now,
        first_seen_at=now,
        updated_at=now,
        **_content(draft, url, base_url=base_url),
    )
    session.add(article)
    session.flush()
    return Stored(article, Outcome.CREATED)


def _content(draft: ArticleDraft, url: str | None, *, base_url: str) -> dict[str, Any]:
    return {
        "title": draft.title,
        "url": url,
        "author": draft.author,
        "summary": draft.summary,
        "image_url": safe_url(draft.image, base_url=base_url) if draft.image else None,
        "image_alt": draft.image_alt or "",
        "body_markdown": draft.body,
        "body_html": html_from_markdown(draft.body, base_url=base_url),
        "body_text": text_from_markdown(draft.body, base_url=base_url),
    }


def _update(article: Article, content: dict[str, Any], published: datetime | None, *, now: datetime) -> Outcome:
    content["published_at"] = _credible(published, now=now) or article.published_at
    changed = {name: value for name, value in content.items() if getattr(article, name) != value}
    if not changed:
        return Outcome.UNCHANGED
    for name, value in changed.items():
        setattr(article, name, value)
    article.updated_at = now
    return Outcome.UPDATED


def _credible(published: datetime | None, *, now: datetime) -> datetime | None:
    """Return the date, or None where there is none or it lies in the future: first sight then counts."""
    return published if published is not None and published <= now else None


def _free_slug(session: Session, wanted: str, newsletter_id: int) -> str:
    slug, number = wanted, 1
    while by_slug(session, slug, newsletter_id=newsletter_id) is not None:
        number += 1
        slug = f"{wanted}-{number}"
    return slug
