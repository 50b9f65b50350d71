"""Reading the mails that development keeps as files, whole or broken."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from pathlib import Path

MAX_BYTES = 2_000_000
HEADER_BYTES = 32_000


@dataclass(frozen=True)
class Heading:
    """What a list shows of a mail. A header that cannot be read is empty, never an error."""

    name: str
    subject: str
    sender: str
    recipient: str
    arrived: datetime


@dataclass(frozen=True)
class Mail:
    """One mail whole; `source` shows all there is even where the parts cannot be read."""

    heading: Heading
    text: str
    html: str
    source: str


def headings(directory: Path, *, limit: int) -> list[Heading]:
    """The newest mails, newest first: their names sort by the time at which they came."""
    newest = (_heading_of(path) for path in _files(directory)[:limit])
    return [heading for heading in newest if heading is not None]


def mail_named(directory: Path, name: str) -> Mail | None:
    """The mail in the file of this name, or None. Only what the folder lists is opened, so a name is never a path."""
    path = next((path for path in _files(directory) if path.name == name), None)
    raw = _read(path, MAX_BYTES) if path else None
    heading = _heading_of(path) if path else None
    if raw is None or heading is None:
        return None
    message = message_from_bytes(raw, policy=policy.default)
    source = raw.decode("utf-8", errors="replace")
    return Mail(heading, text=_part(message, "plain"), html=_part(message, "html"), source=source)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.eml"), key=lambda path: path.name, reverse=True)


def _heading_of(path: Path) -> Heading | None:
    raw = _read(path, HEADER_BYTES)
    if raw is None:
        return None
    headers = BytesHeaderParser(policy=policy.default).parsebytes(raw)
    return Heading(
        name=path.name,
        subject=_header(headers, "Subject"),
        sender=_header(headers, "From"),
        recipient=_header(headers, "To"),
        arrived=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
    )


def _read(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError:  # Deleted between the listing and the reading, or a folder.
        return None


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name] or "")
    except Exception:
        # The parser of headers fails in many ways on odd bytes, and one unreadable mail must not hide the others.
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
