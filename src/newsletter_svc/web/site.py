"""The demo site: a publication's front page, articles and doors, built on the same addresses as any other frontend."""

from datetime import datetime
from pathlib import Path

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
from werkzeug.wrappers import Response as WerkzeugResponse

from newsletter_svc.articles import store
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.web import forgery, frames, me, protection, sessions
from newsletter_svc.web.state import parts

FRONT_PAGE_STORIES = 13
READ_ON_STORIES = 3
MEDIA = Path(__file__).parent / "static" / "media"
MEDIA_SECONDS = 24 * 60 * 60

site = Blueprint("site", __name__)


@site.get("/")
def front_page() -> str:
    """The newest article large, the others in a grid, and the panel where one subscribes."""
    with parts().database.reading() as session:
        stories = store.listed(session, limit=FRONT_PAGE_STORIES)
        lead = stories[0] if stories else None
        return render_template("site/front_page.html", lead=lead, more=stories[1:], **frames.frame(session))


@site.get("/articles/<slug>")
def article(slug: str) -> str:
    """One article whole, and where to read on."""
    with parts().database.reading() as session:
        story = store.by_slug(session, slug) or abort(404)
        others = [each for each in store.listed(session, limit=READ_ON_STORIES + 1) if each.id != story.id]
        return render_template("site/article.html", story=story, more=others[:READ_ON_STORIES], **frames.frame(session))


@site.get("/media/<name>")
def media(name: str) -> Response:
    """The pictures of the sample articles: mails name this address too."""
    return send_from_directory(MEDIA, name, max_age=MEDIA_SECONDS)


@site.get("/sign-in")
def sign_in() -> str:
    """The form before `POST /signin`."""
    with parts().database.reading() as session:
        return render_template("site/sign_in.html", **frames.frame(session))


@site.get("/sign-up")
def sign_up() -> str:
    """The form before `POST /signup`."""
    with parts().database.reading() as session:
        return render_template("site/sign_up.html", **frames.frame(session))


@site.get("/account")
def account() -> WerkzeugResponse | str:
    """Who is signed in, what they get, their billing, and the ways to change or end all that."""
    with parts().database.reading() as session:
        found = sessions.signed_in(session)
        if found is None:
            # The query may hold a sentence for whoever comes back, such as one about billing.
            query = f"?{request.query_string.decode()}" if request.query_string else ""
            return redirect(url_for("site.sign_in") + query, 303)
        subscribed = subscriptions.confirmed_newsletters(session, found.subscriber.id)
        return render_template(
            "site/account.html",
            newsletters=[newsletter.title for newsletter in subscribed],
            public_id=found.subscriber.public_id,
            preferences_url=parts().links.preferences(found.subscriber.id),
            **frames.frame(session),
        )


@site.post("/sign-out")
def sign_out() -> Response:
    """What `DELETE /session` does, for a form: HTML knows no DELETE. Raises ForgedRequest."""
    forgery.check_own_request()
    response = make_response(redirect(url_for("site.front_page"), 303))
    sessions.sign_out(response)
    return response


@site.post("/account/erase")
def erase() -> Response:
    """What `DELETE /me` does, for a form. Raises ForgedRequest."""
    forgery.check_own_request()
    response = make_response(render_template("pages/erased.html"))
    me.forget(response)
    return response


@site.app_template_filter()
def day_of(moment: datetime) -> str:
    """`24 November 2026`, in the publication's time zone."""
    return parts().composer.localised.long_date(frames.local(moment))


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
