"""What a mail server answers (RFC 5321 4.2, RFC 3463), as it may be kept and logged: without addresses."""

import re
from dataclasses import dataclass

CLOSING = 421
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"]+")
_TEXT_LIMIT = 500
_PLAIN = re.compile(rb"[!-~]+(?: [!-~]+)*")


@dataclass(frozen=True)
class Reply:
    """One reply: `Reply(550, "5.1.1", "no such user")`. `enhanced` is None where the server gave none."""

    code: int
    enhanced: str | None
    text: str

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code <= 299

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code <= 499

    @property
    def is_permanent(self) -> bool:
        return 500 <= self.code <= 599


def accepted(code: int, raw: bytes) -> str:
    """Return the text of a positive reply, as `str(read(...))` does; nearly all of them need none of its care."""
    if len(raw) <= _TEXT_LIMIT and _PLAIN.fullmatch(raw):
        return f"{code} {raw.decode('ascii')}"
    return str(read(code, raw))


def read(code: int, raw: bytes, *, secrets: tuple[str, ...] = ()) -> Reply:
    """Return the reply as it may be kept. Servers like to repeat whom they refuse, so addresses and `secrets` go.

    A positive reply keeps what only looks like an address: it is the name under which the server queued the mail.
    """
    lines = raw.decode("utf-8", "replace").split("\n")
    first = _ENHANCED.match(lines[0])
    # Each line of a longer reply repeats the enhanced code (RFC 2034 4).
    text = " ".join(_ENHANCED.sub("", line, count=1) for line in lines)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    for secret in filter(None, secrets):
        text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
    if not 200 <= code <= 299:
        text = _ADDRESS.sub("…", text)
    return Reply(code, first[1] if first else None, text[:_TEXT_LIMIT])
