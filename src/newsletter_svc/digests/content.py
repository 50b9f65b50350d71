"""What stands in an issue: the data that its templates print."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from newsletter_svc.articles.models import Article
from newsletter_svc.articles.sanitising import fitted_images, lowered_headings, wrapping_listings
from newsletter_svc.digests.calendar import Frequency

KIND = "digest"
"""What the ledger and the templates call this e-mail."""

TEXT_WIDTH = 520
"""Pixels between the margins of a mail."""

SLOTS = ("unsubscribe_url", "preferences_url")
"""The parts of an issue that differ from reader to reader."""


@dataclass(frozen=True)
class Shape:
    """How much of an issue's articles it carries: so many whole, so many more as excerpts, so many more by title."""

    whole: int = 1
    excerpts: int = 4
    titles: int = 50


@dataclass(frozen=True)
class Image:
    url: str
    alt: str


@dataclass(frozen=True)
class Entry:
    """One article as the templates see it; `excerpt` is its summary, or the beginning of its text.

    `anchor` is its place in the web version, such as `article-3`; in a mail it is empty.
    """

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
    anchor: str = ""


def issue_context(
    entries: Sequence[Entry],
    *,
    newsletter: str,
    day: date,
    frequency: Frequency,
    web_url: str | None = None,
    shape: Shape | None = None,
) -> dict[str, Any]:
    """Return what the templates of an issue print; `web_url` is where all of it is read in a browser.

    An article that has no address can be read nowhere else: it is carried whole wherever it stands.
    """
    shape = shape or Shape()
    excerpts_end = shape.whole + shape.excerpts
    by_title = [entry for entry in entries[excerpts_end:] if entry.url is not None]
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
        "in_brief": by_title[: shape.titles],
        "left_out": len(by_title[shape.titles :]),
        **({"web_url": web_url} if web_url is not None else {}),
    }


def entry_of(article: Article, *, tz: str) -> Entry:
    """One article as the templates of an issue see it; its date is that of the zone `tz`."""
    body = wrapping_listings(lowered_headings(article.body_html))
    return Entry(
        title=article.title,
        url=article.url,
        author=article.author,
        published=article.published_at.astimezone(ZoneInfo(tz)).date(),
        summary=article.summary,
        excerpt=article.standfirst,
        # Sanitised when it was stored. The article's title is an h2 here.
        html=Markup(fitted_images(body, width=TEXT_WIDTH)),  # noqa: S704
        text=article.body_text,
        image=Image(article.image_url, article.image_alt) if article.image_url else None,
        minutes=article.reading_minutes,
    )
