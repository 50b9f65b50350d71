"""The local mailbox: pages over the mails that development keeps instead of sending them. Never part of production."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from newsletter_svc.web import mail_files, mail_pages
from newsletter_svc.web.mail_files import Mail
from newsletter_svc.web.state import parts

LISTED = 200
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

mailbox = Blueprint("mailbox", __name__, url_prefix="/mailbox")


class View(StrEnum):
    """The tabs of one mail."""

    HTML = "html"
    TEXT = "text"
    SOURCE = "source"


@mailbox.get("/")
def mails() -> str:
    """The list, newest first."""
    return render_template("mailbox/list.html", mails=mail_files.headings(_directory(), limit=LISTED))


@mailbox.get("/<name>")
def mail(name: str) -> str:
    """One mail, with a tab for each of its parts."""
    found = _named(name)
    default = View.HTML if found.html else View.TEXT
    wanted = request.args.get("view", default, type=View)
    return render_template("mailbox/mail.html", mail=found, view=wanted, views=list(View))


@mailbox.get("/<name>/page")
def page(name: str) -> Response:
    """The HTML part by itself, for the frame: no script, no form, its links open outside."""
    response = make_response(mail_pages.opening_elsewhere(_named(name).html))
    response.headers["Content-Security-Policy"] = mail_pages.policy(parts().settings, framed=True)
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


@mailbox.app_template_filter()
def time_of(moment: datetime) -> str:
    """`24 Nov 2026, 07:31:05`, in the publication's time zone."""
    return f"{moment.astimezone(ZoneInfo(parts().settings.timezone)):%-d %b %Y, %H:%M:%S}"


@mailbox.app_context_processor
def mailbox_link() -> dict[str, str]:
    """Let every page of ours say where the mails are."""
    return {"mailbox_url": url_for("mailbox.mails")} if parts().settings.mailbox_dir else {}


@mailbox.after_request
def protect(response: Response) -> Response:
    """The mails hold sign-in links: nothing may keep them or learn of them."""
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _directory() -> Path:
    """Where mails are kept; wherever they go out by SMTP, and so in production, there is nothing to see."""
    return parts().settings.mailbox_dir or abort(404)


def _named(name: str) -> Mail:
    return mail_files.mail_named(_directory(), name) or abort(404)
