"""An article as it was read, before it is stored: its fields, their limits, and what is wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from newsletter_svc.articles.addresses import MAX_URL, safe_url
from newsletter_svc.articles.cleaning import clean_line, clean_text

LIMITS = {
    "title": 300,
    "url": MAX_URL,
    "author": 200,
    "published": 40,
    "summary": 1000,
    "image": MAX_URL,
    "image_alt": 500,
    "body": 200_000,
}

# Only to judge an address that may be relative; which publication it belongs to is decided when it is stored.
_ANY_BASE = "https://publication.invalid"


@dataclass(frozen=True)
class ArticleDraft:
    """One article as its author wrote it; `body` is Markdown, addresses may be relative to the publication."""

    title: str
    body: str
    url: str | None = None
    author: str | None = None
    published: datetime | None = None
    summary: str | None = None
    image: str | None = None
    image_alt: str | None = None


@dataclass(frozen=True)
class BrokenArticle:
    """Why an article was not taken, e.g. `news/budget.md:3: title is missing`; `line` is None where none fits."""

    path: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else str(self.path)
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class Field:
    """One value of a source with the line it stands on; `text` is None where the value is no text."""

    text: str | None
    line: int


class Checker:
    """Turns the fields of one article into a draft, or into all that is wrong with them."""

    def __init__(self, path: Path, fields: Mapping[str, Field], *, first_line: int) -> None:
        self._path = path
        self._fields = fields
        self._first_line = first_line
        self.problems: list[BrokenArticle] = []

    def draft(self) -> ArticleDraft | None:
        """Return the draft, or None with every problem in `problems`."""
        self._name_unknown()
        draft = ArticleDraft(
            title=self._required("title"),
            body=self._required("body"),
            url=self._address("url"),
            author=self._line("author"),
            published=self._date("published"),
            summary=self._line("summary"),
            image=self._address("image"),
            image_alt=self._line("image_alt"),
        )
        return None if self.problems else draft

    def _name_unknown(self) -> None:
        for key, field in self._fields.items():
            if key not in LIMITS:
                known = ", ".join(LIMITS)
                self._complain(f"{clean_line(key)[:60]!r} is not a key of an article; known are {known}", field.line)

    def _required(self, key: str) -> str:
        seen = len(self.problems)
        text = self._text(key) if key == "body" else self._line(key)
        if not text and len(self.problems) == seen:
            self._complain(f"{key} is missing" if key not in self._fields else f"{key} is empty", self._line_of(key))
        return text or ""

    def _line(self, key: str) -> str | None:
        return clean_line(self._text(key) or "") or None

    def _text(self, key: str) -> str | None:
        field = self._fields.get(key)
        if field is None:
            return None
        if field.text is None:
            self._complain(f"{key} must be text", field.line)
            return None
        text = clean_text(field.text).strip("\n") if key == "body" else field.text
        if len(text) > LIMITS[key]:
            self._complain(f"{key} has {len(text):,} characters; {LIMITS[key]:,} are allowed", field.line)
            return None
        return text if text.strip() else None

    def _address(self, key: str) -> str | None:
        url = self._line(key)
        if url is not None and safe_url(url, base_url=_ANY_BASE) is None:
            self._complain(f"{key} must be an http(s) address or a path like /articles/budget", self._line_of(key))
        return url

    def _date(self, key: str) -> datetime | None:
        text = self._line(key)
        if text is None:
            return None
        try:
            return parse_date(text)
        except ValueError:
            self._complain(f"{key} {text!r} is no date; write 2026-11-24 or 2026-11-24T09:00:00Z", self._line_of(key))
            return None

    def _line_of(self, key: str) -> int:
        return self._fields[key].line if key in self._fields else self._first_line

    def _complain(self, reason: str, line: int) -> None:
        self.problems.append(BrokenArticle(self._path, line, reason))


def parse_date(text: str) -> datetime:
    """Return an ISO 8601 date or time as UTC; a time without a zone is taken as UTC. Raises ValueError."""
    if len(text) == len("2026-11-24"):
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # Year 1 or 9999 beside a zone.
        raise ValueError(text) from error
