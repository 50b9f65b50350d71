"""Rendering an issue once for all its readers: the mail, short enough to be shown whole, and the web version."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import structlog

from newsletter_svc.articles.models import Article
from newsletter_svc.digests import fitting
from newsletter_svc.digests.content import KIND, SLOTS, Entry, Shape, entry_of, issue_context
from newsletter_svc.digests.models import Edition
from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Rendered

log = structlog.get_logger()

WEB_PAGE = "_web.html"


class NothingRenders(NewsletterError):
    """Not one of the articles can be rendered, so the fault may lie in the templates: no issue is made of nothing."""

    def __init__(self, article_ids: Sequence[int]) -> None:
        super().__init__(f"None of the {len(article_ids)} new articles can be rendered.")
        self.article_ids = article_ids


@dataclass(frozen=True)
class Heading:
    """What an issue says of itself: its newsletter's title, its date, and where it is read in a browser."""

    newsletter: str
    day: date
    web_url: str


@dataclass(frozen=True)
class RenderedIssue:
    """The mail with slots for its readers' own parts, the page that has all of it, and the articles in it."""

    mail: Rendered
    page: str
    articles: list[Article]


def render_issue(
    composer: Composer, edition: Edition, articles: Sequence[Article], *, heading: Heading
) -> RenderedIssue:
    """The issue as it goes out. Raises NothingRenders.

    An article that cannot be rendered is left out and logged; the others must not wait for it.
    """
    try:
        return _render(composer, edition, articles, heading)
    except Exception:  # Whatever it is, it is one article's fault or everybody's: the next lines find out.
        good = [article for article in articles if _renders(composer, edition, article, heading)]
    if not good:
        raise NothingRenders([article.id for article in articles])
    return _render(composer, edition, good, heading)


def _renders(composer: Composer, edition: Edition, article: Article, heading: Heading) -> bool:
    try:
        _render(composer, edition, [article], heading)
    except Exception as error:
        log.error("article_skipped", article=article.id, edition=edition.id, error=type(error).__name__)
        return False
    return True


def _render(composer: Composer, edition: Edition, articles: Sequence[Article], heading: Heading) -> RenderedIssue:
    entries = [entry_of(article, tz=edition.tz) for article in articles]
    context = partial(issue_context, newsletter=heading.newsletter, day=heading.day, frequency=edition.frequency)

    def mail_of(entries: Sequence[Entry], shape: Shape) -> Rendered:
        return composer.render_with_slots(KIND, context(entries, shape=shape, web_url=heading.web_url), SLOTS)

    mail = fitting.shortened(entries, mail_of, web_url=heading.web_url)
    anchored = [replace(entry, anchor=fitting.anchor(place)) for place, entry in enumerate(entries, 1)]
    page = context(anchored, shape=Shape(whole=len(entries)))
    # Nobody's own parts stand in a page for everybody; a template that prints one gets an address without power.
    neutral = dict.fromkeys(SLOTS, composer.publication.url)
    html = composer.render_page(KIND, WEB_PAGE, {**page, **neutral, "subject": mail.subject})
    return RenderedIssue(mail, html, list(articles))
