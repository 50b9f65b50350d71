"""The local mailbox: the mails that development keeps as files instead of sending them. Never part of production."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from newsletter_svc.settings import Settings

LISTED = 200
MAX_BYTES = 2_000_000
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


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


def blueprint(settings: Settings, directory: Path) -> Blueprint:
    """Return the pages over the mails in `directory`. Refuses to exist in production."""
    if settings.is_production:
        raise RuntimeError("the local mailbox is for development only")
    pages = Blueprint("mailbox", __name__, url_prefix="/mailbox")
    zone = ZoneInfo(settings.timezone)

    @pages.app_context_processor
    def mailbox_link() -> dict[str, Any]:
        return {"mailbox_url": url_for("mailbox.mails")}

    @pages.after_request
    def protect(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def named(name: str) -> Mail:
        # Only what the folder lists can be asked for, so a name never becomes a path of its own.
        path = next((path for path in _files(directory) if path.name == name), None)
        mail = _readable(path, zone) if path else None
        return mail or abort(404)

    @pages.get("/")
    def mails() -> str:
        newest = (_readable(path, zone) for path in _files(directory)[:LISTED])
        return render_template("mailbox/list.html", mails=[mail for mail in newest if mail])

    @pages.get("/<name>")
    def mail(name: str) -> str:
        found = named(name)
        default = View.HTML if found.html else View.TEXT
        wanted = request.args.get("view", default, type=View)
        return render_template("mailbox/mail.html", mail=found, view=wanted, views=list(View))

    @pages.get("/<name>/page")
    def page(name: str) -> Response:
        response = make_response(_opening_elsewhere(named(name).html))
        response.headers["Content-Security-Policy"] = _mail_policy(settings)
        return response

    return pages


def _files(directory: Path) -> list[Path]:
    """The mails, newest first: their names sort by the time at which they came."""
    return sorted(directory.glob("*.eml"), key=lambda path: path.name, reverse=True)


def _readable(path: Path, zone: ZoneInfo) -> Mail | None:
    try:
        return read_mail(path, zone=zone)
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
