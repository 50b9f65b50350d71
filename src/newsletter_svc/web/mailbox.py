"""The local mailbox: the mails that development keeps as files instead of sending them. Never part of production."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from newsletter_svc.settings import Settings
from newsletter_svc.web.state import parts

LISTED = 200
MAX_BYTES = 2_000_000
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
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


@dataclass(frozen=True)
class Mail:
    """One mail as a page shows it. What cannot be read is empty, never an error: the source tab shows all there is."""

    name: str
    subject: str
    sender: str
    recipient: str
    arrived: datetime
    text: str
    html: str
    source: str


def read_mail(path: Path, *, zone: ZoneInfo) -> Mail:
    """Read one file, however broken. Raises OSError when it cannot be opened."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES)
        arrived = datetime.fromtimestamp(path.stat().st_mtime, tz=zone)
    message = message_from_bytes(raw, policy=policy.default)
    return Mail(
        name=path.name,
        subject=_header(message, "Subject") or "(no subject)",
        sender=_header(message, "From"),
        recipient=_header(message, "To"),
        arrived=arrived,
        text=_part(message, "plain"),
        html=_part(message, "html"),
        source=raw.decode("utf-8", errors="replace"),
    )


@mailbox.before_request
def only_where_mail_is_kept() -> None:
    """Wherever mail goes out by SMTP, and so in production, there is nothing here."""
    if parts().settings.mailbox_dir is None:
        abort(404)


@mailbox.get("/")
def mails() -> str:
    """The list, newest first."""
    newest = (_readable(path) for path in _files()[:LISTED])
    return render_template("mailbox/list.html", mails=[mail for mail in newest if mail])


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
    response = make_response(_opening_elsewhere(_named(name).html))
    response.headers["Content-Security-Policy"] = _mail_policy(parts().settings)
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


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


def _named(name: str) -> Mail:
    # Only what the folder lists can be asked for, so a name never becomes a path of its own.
    path = next((path for path in _files() if path.name == name), None)
    mail = _readable(path) if path else None
    return mail or abort(404)


def _files() -> list[Path]:
    """The mails, newest first: their names sort by the time at which they came."""
    directory = parts().settings.mailbox_dir
    assert directory is not None  # noqa: S101 - `only_where_mail_is_kept` has looked.
    return sorted(directory.glob("*.eml"), key=lambda path: path.name, reverse=True)


def _readable(path: Path) -> Mail | None:
    try:
        return read_mail(path, zone=ZoneInfo(parts().settings.timezone))
    except OSError:  # Deleted between the listing and the reading, or not ours to read.
        return None


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name] or "")
    except Exception:
        # The parser of headers fails in many ways on odd bytes, and an unreadable subject must not hide the others.
        return ""


def _part(message: EmailMessage, subtype: str) -> str:
    """The text of the first part of this kind, whatever charset it claims to have."""
    for part in message.walk():
        if part.get_content_type() == f"text/{subtype}":
            payload = part.get_payload(decode=True)
            return _decoded(payload, part.get_content_charset("utf-8")) if isinstance(payload, bytes) else ""
    return ""


def _decoded(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, errors="replace")
    except LookupError:
        return payload.decode("utf-8", errors="replace")


def _opening_elsewhere(html: str) -> str:
    """Let the mail's links open outside the frame in which it is shown."""
    base = '<base target="_blank">'
    return _HEAD.sub(lambda head: head.group() + base, html, count=1) if _HEAD.search(html) else base + html


def _mail_policy(settings: Settings) -> str:
    """What a mail program would allow: pictures and inline styles, links in a new tab, and nothing else."""
    return (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
        f"style-src 'unsafe-inline'; img-src 'self' https: {settings.public_url}; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
