"""The preview page: an issue as desktops, phones and dark screens show it, its text, its source, and what to mend."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from enum import StrEnum

from flask import Blueprint, Response, make_response, render_template, request

from newsletter_svc.clock import utcnow
from newsletter_svc.digests import inspection, preview
from newsletter_svc.digests.letter import Issue
from newsletter_svc.digests.preview import Format
from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers.models import Newsletter
from newsletter_svc.tokens import BadToken, Purpose
from newsletter_svc.web import mail_pages
from newsletter_svc.web.mail_pages import Scheme
from newsletter_svc.web.protection import content_policy
from newsletter_svc.web.state import parts

previews = Blueprint("previews", __name__, url_prefix="/preview")


class View(StrEnum):
    """The tabs of the page."""

    DESKTOP = "desktop"
    PHONE = "phone"
    DARK = "dark"
    TEXT = "text"
    SOURCE = "source"


class PreviewOver(NewsletterError):
    """The address was good for an hour, or there is nothing new to look at any more."""

    def __init__(self) -> None:
        super().__init__("This preview is over. `newsletter digest preview --open` makes another address.")


@dataclass(frozen=True)
class Shown:
    """An issue that somebody may look at, and until when."""

    issue: Issue
    until: datetime


@previews.get("/link")
def look_at_link() -> str:
    """What a link of a copy shows that would be a reader's own."""
    return render_template("pages/preview_link.html")


@previews.post("/link")
def press_link() -> str:
    """The same for mail programs that unsubscribe by themselves (RFC 8058): nobody is unsubscribed."""
    return render_template("pages/preview_link.html")


@previews.get("/<token>")
def look(token: str) -> Response:
    """The page around the issue."""
    shown = _shown(token)
    raw = preview.show(shown.issue, Format.EML, press=parts().press, now=utcnow())
    page = render_template(
        "pages/preview.html",
        token=token,
        views=list(View),
        view=request.args.get("view", View.DESKTOP, type=View),
        subject=shown.issue.rendered.subject,
        sender=str(message_from_bytes(raw, policy=policy.default)["From"]),
        text=preview.show(shown.issue, Format.TEXT, press=parts().press, now=utcnow()).decode(),
        source=raw.decode(),
        remarks=inspection.inspect(raw),
        until=shown.until,
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = content_policy(parts().settings) + "; frame-src 'self'"
    return response


@previews.get("/<token>/mail")
def mail(token: str) -> Response:
    """The HTML part by itself, for the frame."""
    html = preview.show(_shown(token).issue, Format.HTML, press=parts().press, now=utcnow()).decode()
    scheme = request.args.get("scheme", Scheme.LIGHT, type=Scheme)
    response = make_response(mail_pages.opening_elsewhere(mail_pages.in_scheme(html, scheme)))
    response.headers["Content-Security-Policy"] = mail_pages.policy(parts().settings, framed=True)
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@previews.app_template_filter()
def preview_time(moment: datetime) -> str:
    """`24 November 2026, 17:05 (Europe/London)`, in the publication's language and time zone."""
    return parts().composer.localised.moment(moment)


def _shown(token: str) -> Shown:
    """What the address in hand shows. Raises BadToken, PreviewOver."""
    match parts().keyring.read(Purpose.PREVIEW, token):
        case [int() | None as digest_id, int(newsletter_id), int(until)] if until > utcnow().timestamp():
            issue = _issue(digest_id, newsletter_id)
            return Shown(issue, datetime.fromtimestamp(until, UTC))
        case [_, _, int()]:
            raise PreviewOver
    raise BadToken("no preview")


def _issue(digest_id: int | None, newsletter_id: int) -> Issue:
    service = parts()
    with service.database.reading() as session:
        newsletter = session.get(Newsletter, newsletter_id)
        if newsletter is None:
            raise PreviewOver
        found = preview.chosen(
            session, newsletter, digest_id, tz=service.settings.timezone, press=service.press, now=utcnow()
        )
    if found is None:
        raise PreviewOver
    return found
