"""A mail as bytes (RFC 5322, RFC 2045): headers, and text and HTML in quoted-printable.

The standard library is not used for it: its policies encode a long List-Unsubscribe, write quoted-printable lines of
78 octets, and turn an encoded word inside a name into a header.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime

from newsletter_svc.mail import headers
from newsletter_svc.mail.message import Mailbox, Rendered, UnsendableMessage

SUBJECT_LIMIT = 200
QP_LINE = 76
"""RFC 2045 6.7 (5), the soft line break included."""
_NEEDS_ESCAPE = re.compile(rb"[^\t -<>-~]")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+>")
_OURS = frozenset({
    "from", "sender", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "auto-submitted",
    "mime-version", "content-type", "content-transfer-encoding", "return-path",
})  # fmt: skip


def build(
    rendered: Rendered,
    *,
    sender: Mailbox,
    recipient: Mailbox,
    message_id: str,
    date: datetime,
    reply_to: Mailbox | None = None,
    auto_submitted: bool = False,
    extra: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return the whole mail. `message_id` has its angle brackets, `date` is aware.

    The same arguments give the same bytes, so a retry repeats the mail exactly.
    Raises `UnsendableMessage` when a value cannot be carried.
    """
    lines = [
        headers.address_line("From", sender),
        headers.address_line("To", recipient),
        headers.text_line("Subject", rendered.subject, limit=SUBJECT_LIMIT),
        date_line(date),
        headers.token_line("Message-ID", checked_id(message_id)),
    ]
    if reply_to is not None:
        lines.append(headers.address_line("Reply-To", reply_to))
    if auto_submitted:
        lines.append(headers.token_line("Auto-Submitted", "auto-generated"))
    lines.extend(_extra_lines(extra))
    lines.append("MIME-Version: 1.0")
    return "\r\n".join(lines).encode("ascii") + b"\r\n" + _content(rendered, message_id=message_id)


def quoted_printable(text: str) -> bytes:
    """Return `text` in quoted-printable: lines of at most 76 octets, each ended by CRLF, none beginning with a dot."""
    try:
        lines = plain_lines(text).removesuffix("\n").encode().split(b"\n")
    except UnicodeEncodeError:
        raise UnsendableMessage("the text holds half of a character (a lone surrogate)") from None
    return b"".join(cut(escape(line)) for line in lines)


def plain_lines(text: str) -> str:
    """Return `text` with LF alone as line end, and without control characters."""
    return _CONTROL.sub("", _LINE_BREAK.sub("\n", text))


def escape(line: bytes) -> bytes:
    """Write the octets that are not plain as `=E2`; what only the place in a line makes unsafe is up to `cut`."""
    return _NEEDS_ESCAPE.sub(lambda match: b"=%02X" % match[0][0], line)


def cut(line: bytes) -> bytes:
    """Return one escaped line as the lines of at most 76 octets that it is sent in."""
    rest = safe_start(safe_end(line))
    written: list[bytes] = []
    while len(rest) > QP_LINE:
        first, rest = soft_break(rest)
        written.append(first)
        rest = safe_start(rest)
    return b"".join([*written, rest, b"\r\n"])


def soft_break(rest: bytes) -> tuple[bytes, bytes]:
    """Cut the first line off one that is longer than a line may be."""
    at = QP_LINE - 1
    # An escape of three octets stays whole.
    at -= 1 if rest[at - 1] == 0x3D else 2 if rest[at - 2] == 0x3D else 0
    return rest[:at] + b"=\r\n", rest[at:]


def safe_end(line: bytes) -> bytes:
    """Escape a blank at the end of a line, which servers on the way may drop."""
    return line[:-1] + b"=%02X" % line[-1] if line.endswith((b" ", b"\t")) else line


def safe_start(line: bytes) -> bytes:
    """Escape what servers and mailboxes misread at the beginning of a line: a dot, and `From `."""
    if line.startswith((b".", b"From ")):
        return b"=%02X" % line[0] + line[1:]
    return line


def boundary_for(message_id: str) -> str:
    """Return what divides the parts: "=_" cannot occur in quoted-printable, so no text can imitate it."""
    return "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:24]


def _content(rendered: Rendered, *, message_id: str) -> bytes:
    text = _part("plain", rendered.text)
    if not rendered.html:
        return text
    boundary = boundary_for(message_id).encode("ascii")
    return b"\r\n".join(
        [
            b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n',
            b"--" + boundary,
            text,
            b"--" + boundary,
            _part("html", rendered.html),
            b"--" + boundary + b"--\r\n",
        ]
    )


def _part(subtype: str, text: str) -> bytes:
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode("ascii") + quoted_printable(text)


def date_line(date: datetime) -> str:
    """Return the whole header Date; `date` is aware."""
    if date.tzinfo is None:
        raise ValueError("a Date without a zone says nothing")
    return headers.token_line("Date", format_datetime(date))


def checked_id(message_id: str) -> str:
    """Return the Message-ID, angle brackets included. Raises `UnsendableMessage` when it is none."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise UnsendableMessage("the Message-ID is none")
    return message_id


def _extra_lines(extra: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    seen = set(_OURS)
    for name, value in extra:
        if name.lower() in seen:
            raise UnsendableMessage(f"{name} may stand in a mail only once")
        seen.add(name.lower())
        lines.append(headers.token_line(name, value))
    return lines
