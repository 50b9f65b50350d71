"""What stands in an issue: the data its templates print, and rendering it once for all readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

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

_RHYTHMS = {
    Frequency.DAILY: "every day",
    Frequency.WEEKLY: "every week",
    Frequency.BY_HAND: "whenever there is something to report",
}


class NothingRenders(NewsletterError):
    """Not one of the articles can be rendered, so the fault may lie in the templates: no issue is made of nothing."""

    def __init__(self, article_ids: Sequence[int]) -> None:
        super().__init__(f"None of the {len(article_ids)} new articles can be rendered.")
        self.article_ids = article_ids


@dataclass(frozen=True)
class Image:
    url: str
    alt: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Entry:
    """One article as the templates see it."""

    title: str
    url: str | None
    author: str | None
    published: str
    summary: str | None
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
    context = {
        "newsletter": title,
        "date_line": f"{day:%A}, {long_date(day)}",
        "frequency": _RHYTHMS[edition.frequency],
        "articles": [_entry(article) for article in articles],
        "why": f"You get this because you confirmed your subscription to {title}.",
    }
    return composer.render_with_slots(KIND, context, SLOTS)


def _entry(article: Article) -> Entry:
    return Entry(
        title=article.title,
        url=article.url,
        author=article.author,
        published=long_date(article.published_at),
        summary=article.summary,
        # Sanitised when it was stored. The article's title is an h2 here.
        html=Markup(lowered_headings(article.body_html)),  # noqa: S704
        text=article.body_text,
        image=Image(article.image_url, article.image_alt) if article.image_url else None,
        minutes=article.reading_minutes,
    )


def long_date(day: date | datetime) -> str:
    """`24 November 2026`."""
    return f"{day.day} {day:%B} {day.year}"
