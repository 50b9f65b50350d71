"""The demo site: a publication's front page, articles and doors, built on the same addresses as any other frontend."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, render_template, request, send_from_directory, url_for
from sqlalchemy.orm import Session

from newsletter_svc import clock
from newsletter_svc.articles import store
from newsletter_svc.db import Database
from newsletter_svc.settings import Settings
from newsletter_svc.web import messages

FRONT_PAGE_STORIES = 13
READ_ON = 3
_MEDIA = Path(__file__).parent / "static" / "media"
_MEDIA_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Reader:
    """Who is signed in, as the pages greet them."""

    email: str
    name: str
    is_subscribed: bool

    @property
    def label(self) -> str:
        return self.name or self.email


@dataclass(frozen=True)
class Site:
    """What the pages need from the rest of the service."""

    settings: Settings
    database: Database
    reader: Callable[[Session], Reader | None]
    csrf: Callable[[], str]
    sign_out: Callable[[], Response]


def blueprint(site: Site) -> Blueprint:
    """Return the pages; they answer GET, and one POST that signs out without JavaScript."""
    pages = Blueprint("site", __name__)
    zone = ZoneInfo(site.settings.timezone)

    @pages.app_template_filter()
    def day_of(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%-d %B %Y}"

    @pages.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _content_policy(site.settings)
        # The pages show who is signed in, so no cache may hand them to anybody else.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    _add_pages(pages, site, zone)
    _add_doors(pages, site, zone)
    return pages


def _add_pages(pages: Blueprint, site: Site, zone: ZoneInfo) -> None:
    @pages.get("/")
    def front_page() -> str:
        with site.database.reading() as session:
            stories = store.listed(session, limit=FRONT_PAGE_STORIES)
            frame = _frame(site, session, zone)
            return render_template("site/front_page.html", lead=next(iter(stories), None), more=stories[1:], **frame)

    @pages.get("/articles/<slug>")
    def article(slug: str) -> str:
        with site.database.reading() as session:
            story = store.by_slug(session, slug)
            if story is None:
                abort(404)
            others = [each for each in store.listed(session, limit=READ_ON + 1) if each.id != story.id]
            frame = _frame(site, session, zone)
            return render_template("site/article.html", story=story, more=others[:READ_ON], **frame)

    @pages.get("/media/<name>")
    def media(name: str) -> Response:
        return send_from_directory(_MEDIA, name, max_age=_MEDIA_SECONDS)


def _add_doors(pages: Blueprint, site: Site, zone: ZoneInfo) -> None:
    def door(template: str) -> str:
        with site.database.reading() as session:
            return render_template(template, **_frame(site, session, zone))

    @pages.get("/sign-in")
    def sign_in() -> str:
        return door("site/sign_in.html")

    @pages.get("/sign-up")
    def sign_up() -> str:
        return door("site/sign_up.html")

    @pages.post("/sign-out")
    def sign_out() -> Response:
        return site.sign_out()


def _frame(site: Site, session: Session, zone: ZoneInfo) -> dict[str, Any]:
    """What every page shows around its content: the bar with the sentence, the date, the reader."""
    notice = messages.for_query(request.args)
    return {
        "notice": notice,
        "new_link_url": _new_link_url() if notice is not None and not notice.success else None,
        "now": clock.utcnow().astimezone(zone),
        "reader": site.reader(session),
        "csrf": site.csrf(),
    }


def _new_link_url() -> str | None:
    match request.args.get("action"):
        case "subscribe":
            return url_for("site.front_page") + "#subscribe"
        case "signup":
            return url_for("site.sign_up")
        case "signin":
            return url_for("site.sign_in")
    return None


def _content_policy(settings: Settings) -> str:
    # Chromium applies form-action to the redirect after the POST too, and that goes to the frontend.
    form_targets = " ".join(dict.fromkeys(("'self'", settings.frontend_url, *settings.frontend_origins)))
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        f"img-src 'self' https: {settings.public_url}; form-action {form_targets}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
