"""The newsletters that one can subscribe to."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers.models import Newsletter
from newsletter_svc.words import ReaderError, Words, typed

DEFAULT_SLUG = "briefing"
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class UnknownNewsletter(ReaderError):
    """There is no newsletter with this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__("subscription.unknown_newsletter", newsletter=typed(slug))
        self.slug = slug


class BadNewsletter(NewsletterError):
    """A newsletter that cannot be made as asked; the text says why."""


def get(session: Session, slug: str) -> Newsletter:
    """The newsletter with this slug. Raises UnknownNewsletter."""
    # What cannot be a slug is not asked for: PostgreSQL takes no text with a NUL in it.
    is_slug = SLUG.fullmatch(slug) is not None
    newsletter = session.scalars(select(Newsletter).where(Newsletter.slug == slug)).one_or_none() if is_slug else None
    if newsletter is None:
        raise UnknownNewsletter(slug)
    return newsletter


def get_all(session: Session, slugs: Sequence[str]) -> list[Newsletter]:
    """The newsletters with these slugs, each once; the default one where none is named. Raises UnknownNewsletter."""
    return [get(session, slug) for slug in dict.fromkeys(slugs or [DEFAULT_SLUG])]


def listed(session: Session) -> Sequence[Newsletter]:
    return session.scalars(select(Newsletter).order_by(Newsletter.id)).all()


def add(session: Session, slug: str, *, title: str, description: str = "", now: datetime) -> Newsletter:
    """A new newsletter. Raises BadNewsletter when the slug is odd or taken, or the title is missing."""
    if not SLUG.fullmatch(slug) or len(slug) > 63:
        raise BadNewsletter(f"{slug!r} cannot be a slug: use small letters, digits and single hyphens.")
    if not title.strip() or len(title) > 200:
        raise BadNewsletter("A newsletter needs a title of at most 200 characters.")
    if session.scalars(select(Newsletter.id).where(Newsletter.slug == slug)).first() is not None:
        raise BadNewsletter(f"There is a newsletter called {slug!r} already.")
    newsletter = Newsletter(slug=slug, title=title.strip(), description=description.strip(), created_at=now)
    session.add(newsletter)
    session.flush()
    return newsletter


def ensure_default(session: Session, *, words: Words, now: datetime) -> None:
    """The newsletter `briefing`, where there is no newsletter at all."""
    if not listed(session):
        said = words.section("default_newsletter")
        add(session, DEFAULT_SLUG, title=said["title"], description=said["description"], now=now)
