"""Issues in the browser: the web version of one, and the archive of all as a page and as a feed."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, make_response, render_template, request
from sqlalchemy.orm import Session

from newsletter_svc.digests import archive
from newsletter_svc.digests.archive import Page
from newsletter_svc.subscribers import newsletters
from newsletter_svc.subscribers.models import Newsletter
from newsletter_svc.subscribers.newsletters import UnknownNewsletter
from newsletter_svc.web import feeds, mail_pages, messages
from newsletter_svc.web.state import parts
from newsletter_svc.words import Saying

PER_PAGE = 20
MAX_PAGE = 100_000
KEPT_SECONDS = 300
PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")

issues = Blueprint("issues", __name__, url_prefix="/digests")


@issues.get("/<public_id>")
def web_version(public_id: str) -> Response:
    """One issue, the same for everybody who knows its address."""
    service = parts()
    if not PUBLIC_ID.fullmatch(public_id):
        abort(404)  # PostgreSQL takes no text with a NUL in it.
    with service.database.reading() as session:
        html = archive.web_version(session, public_id, neutral_url=service.settings.frontend_url)
    response = make_response(html if html is not None else abort(404))
    response.headers["Content-Security-Policy"] = mail_pages.policy(service.settings)
    return _kept(response)


# Without this the router would answer `/digests` with a redirect to whatever `Host` the request names.
@issues.get("/", strict_slashes=False)
def past_issues() -> Response:
    """The list of past issues, where the setting ARCHIVE allows it."""
    with parts().database.reading() as session:
        newsletter, number = _asked_for(session)
        page = _page(session, newsletter, number)
    links, slug = parts().links, newsletter.slug if newsletter else None
    return _kept(
        make_response(
            render_template(
                "pages/archive.html",
                issues=[(issue, links.digest(issue.public_id)) for issue in page.issues],
                newsletter=newsletter,
                feed_url=links.feed(slug=slug),
                newer_url=links.archive(slug=slug, page=number - 1) if number > 1 else None,
                older_url=links.archive(slug=slug, page=number + 1) if page.has_older else None,
            )
        )
    )


@issues.get("/feed.atom")
def feed() -> Response:
    """The same as an Atom feed, paged (RFC 5005 3)."""
    with parts().database.reading() as session:
        newsletter, number = _asked_for(session)
        page = _page(session, newsletter, number)
    slug = newsletter.slug if newsletter else None
    publication = parts().composer.publication
    title = _feed_title(publication.name, newsletter)
    written = feeds.atom(page, number, links=parts().links, publication=publication, title=title, slug=slug)
    return _kept(Response(written, content_type="application/atom+xml; charset=utf-8"))


@issues.app_template_filter()
def issue_day(moment: datetime) -> str:
    """`24 November 2026`, in the publication's language and time zone."""
    local = moment.astimezone(ZoneInfo(parts().settings.timezone))
    return parts().composer.localised.long_date(local)


def _feed_title(publication: str, newsletter: Newsletter | None) -> str:
    if newsletter is None or newsletter.title == publication:
        return publication
    return messages.say(Saying("feed.title", {"publication": publication, "newsletter": newsletter.title}))


def _asked_for(session: Session) -> tuple[Newsletter | None, int]:
    """The newsletter and the page that the query names; what there is not is not found."""
    if not parts().settings.archive:
        abort(404)
    number = request.args.get("page", "1")
    if not (number.isascii() and number.isdecimal() and len(number) <= len(str(MAX_PAGE)) and int(number) > 0):
        abort(404)
    slug = request.args.get("newsletter")
    try:
        return newsletters.get(session, slug) if slug else None, int(number)
    except UnknownNewsletter:
        abort(404)


def _page(session: Session, newsletter: Newsletter | None, number: int) -> Page:
    newsletter_id = newsletter.id if newsletter else None
    page = archive.past_issues(session, newsletter_id=newsletter_id, page=number, per_page=PER_PAGE)
    return page if page.issues or number == 1 else abort(404)


def _kept(response: Response) -> Response:
    """Nothing here is about a reader, so browsers and caches may keep it for a while."""
    response.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    response.add_etag()
    response.make_conditional(request)
    return response
