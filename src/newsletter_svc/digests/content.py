"""What stands in an issue: the data its templates print, and rendering it once for all readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from markupsafe import Markup

from newsletter_svc.articles.models import Article
from newsletter_svc.articles.sanitising import lowered_headings
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.digests.models import Edition
from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Rendered

log = structlog.get_logger()

KIND = "digest"
"""What the ledger and the templates call this e-mail."""

SLOTS = ("unsubscribe_url",)
"""The parts of an issue that differ from reader to reader."""


@dataclass(frozen=True)
class Shape:
    """How much of an issue's articles it carries: so many whole, so many more as excerpts, the others by title."""

    whole: int = 1
    excerpts: int = 4


class NothingRenders(NewsletterError):
    """Not one of the articles can be rendered, so the fault may lie in the templates: no issue is made of nothing."""

    def __init__(self, article_ids: Sequence[int]) -> None:
        super().__init__(f"None of the {len(article_ids)} new articles can be rendered.")
        self.article_ids = article_ids


@dataclass(frozen=True)
class Image:
    url: str
    alt: str


@dataclass(frozen=True)
class Entry:
    """One article as the templates see it; `excerpt` is its summary, or the beginning of its text."""

    title: str
    url: str | None
    author: str | None
    published: date
    summary: str | None
    excerpt: str
    html: Markup
    text: str
    image: Image | None
    minutes: int


def render_issue(
    composer: Composer, edition: Edition, articles: Sequence[Article], *, title: str, day: date
) -> tuple[Rendered, list[Article]]:
    """The issue with slots for its readers' own parts, and the articles that are in it.

    An article that cannot be rendered is left out and logged; the others must not wait for it.
    """
    try:
        return _render(composer, edition, articles, title=title, day=day), list(articles)
    except Exception:  # Whatever it is, it is one article's fault or everybody's: the next lines find out.
        good = [article for article in articles if _renders(composer, edition, article, title=title, day=day)]
    if not good:
        raise NothingRenders([article.id for article in articles])
    return _render(composer, edition, good, title=title, day=day), good


def _renders(composer: Composer, edition: Edition, article: Article, *, title: str, day: date) -> bool:
    try:
        _render(composer, edition, [article], title=title, day=day)
    except Exception as error:
        log.error("article_skipped", article=article.id, edition=edition.id, error=type(error).__name__)
        return False
    return True


def _render(composer: Composer, edition: Edition, articles: Sequence[Article], *, title: str, day: date) -> Rendered:
    zone = ZoneInfo(edition.tz)
    entries = [_entry(article, zone) for article in articles]
    context = issue_context(entries, newsletter=title, day=day, frequency=edition.frequency)
    return composer.render_with_slots(KIND, context, SLOTS)


def issue_context(
    entries: Sequence[Entry], *, newsletter: str, day: date, frequency: Frequency, shape: Shape | None = None
) -> dict[str, Any]:
    """Return what the templates of an issue print.

    An article that has no address can be read nowhere else: it is carried whole wherever it stands.
    """
    shape = shape or Shape()
    excerpts_end = shape.whole + shape.excerpts
    return {
        "newsletter": newsletter,
        "day": day,
        "frequency": frequency.value,
        "articles": entries,
        "leads": entries[: shape.whole],
        "briefings": [
            *entries[shape.whole : excerpts_end],
            *(entry for entry in entries[excerpts_end:] if entry.url is None),
        ],
        "in_brief": [entry for entry in entries[excerpts_end:] if entry.url is not None],
    }


def _entry(article: Article, zone: ZoneInfo) -> Entry:
    return Entry(
        title=article.title,
        url=article.url,
        author=article.author,
        published=article.published_at.astimezone(zone).date(),
        summary=article.summary,
        excerpt=article.standfirst,
        # Sanitised when it was stored. The article's title is an h2 here.
        html=Markup(lowered_headings(article.body_html)),  # noqa: S704
        text=article.body_text,
        image=Image(article.image_url, article.image_alt) if article.image_url else None,
        minutes=article.reading_minutes,
    )
