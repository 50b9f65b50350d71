"""The demo site: a publication's front page, articles and doors, built on the same addresses as any other frontend."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from sqlalchemy.orm import Session

from newsletter_svc.articles import store
from newsletter_svc.billing import customers
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.web import forgery, messages, protection, sessions
from newsletter_svc.web.state import parts

FRONT_PAGE_STORIES = 13
READ_ON_STORIES = 3
MEDIA = Path(__file__).parent / "static" / "media"
MEDIA_SECONDS = 24 * 60 * 60

site = Blueprint("site", __name__)


@dataclass(frozen=True)
class Reader:
    """Who is signed in, as the pages greet them."""

    email: str
    name: str
    is_subscribed: bool
    can_update_billing: bool

    @property
    def label(self) -> str:
        return self.name or self.email


@site.get("/")
def front_page() -> str:
    """The newest article large, the others in a grid, and the panel where one subscribes."""
    with parts().database.reading() as session:
        stories = store.listed(session, limit=FRONT_PAGE_STORIES)
        lead = stories[0] if stories else None
        return render_template("site/front_page.html", lead=lead, more=stories[1:], **_frame(session))


@site.get("/articles/<slug>")
def article(slug: str) -> str:
    """One article whole, and where to read on."""
    with parts().database.reading() as session:
        story = store.by_slug(session, slug) or abort(404)
        others = [each for each in store.listed(session, limit=READ_ON_STORIES + 1) if each.id != story.id]
        return render_template("site/article.html", story=story, more=others[:READ_ON_STORIES], **_frame(session))


@site.get("/media/<name>")
def media(name: str) -> Response:
    """The pictures of the sample articles: mails name this address too."""
    return send_from_directory(MEDIA, name, max_age=MEDIA_SECONDS)


@site.get("/sign-in")
def sign_in() -> str:
    """The form before `POST /signin`."""
    with parts().database.reading() as session:
        return render_template("site/sign_in.html", **_frame(session))


@site.get("/sign-up")
def sign_up() -> str:
    """The form before `POST /signup`."""
    with parts().database.reading() as session:
        return render_template("site/sign_up.html", **_frame(session))


@site.post("/sign-out")
def sign_out() -> Response:
    """What `DELETE /session` does, for a form: HTML knows no DELETE. Raises ForgedRequest."""
    forgery.check_own_request()
    response = make_response(redirect(url_for("site.front_page"), 303))
    sessions.sign_out(response)
    return response


@site.app_template_filter()
def day_of(moment: datetime) -> str:
    """`24 November 2026`, in the publication's time zone."""
    return parts().composer.localised.long_date(_local(moment))


@site.after_request
def protect(response: Response) -> Response:
    """Nothing from elsewhere but pictures, and no copy of a page that names a reader."""
    settings = parts().settings
    response.headers["Content-Security-Policy"] = protection.content_policy(
        settings,
        pictures=f"'self' https: {settings.public_url}",
        connections="'self'",
        payments=settings.payment_origin,
    )
    if request.endpoint != "site.media":
        response.headers["Cache-Control"] = "no-store"
    return response


def _frame(session: Session) -> dict[str, Any]:
    """What every page shows around its content: the bar with the sentence, the date, the reader."""
    reader = _reader(session)
    notice = messages.for_query(request.args, signed_in=reader is not None)
    return {
        "notice": notice,
        "new_link_url": _new_link_url() if notice is not None and not notice.success else None,
        "now": _local(utcnow()),
        "reader": reader,
        "csrf": forgery.field(),
    }


def _reader(session: Session) -> Reader | None:
    found = sessions.signed_in(session)
    if found is None:
        return None
    subscriber = found.subscriber
    is_subscribed = bool(subscriptions.confirmed_ids(session, subscriber.id))
    pays = parts().stripe is not None and customers.customer_of(session, subscriber.id) is not None
    return Reader(subscriber.email, subscriber.name, is_subscribed, can_update_billing=pays)


def _new_link_url() -> str | None:
    """The door at which a reader with a dead link asks for a new one; None for a notice about something else."""
    doors = {
        "subscribe": url_for("site.front_page", _anchor="subscribe"),
        "signup": url_for("site.sign_up"),
        "signin": url_for("site.sign_in"),
    }
    return doors.get(request.args.get("action", ""))


def _local(moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(parts().settings.timezone))
