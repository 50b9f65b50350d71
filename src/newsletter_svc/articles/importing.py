"""Reading article files: Markdown with front matter, and JSON. One broken file never keeps the others out."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from newsletter_svc.articles.drafts import ArticleDraft, BrokenArticle
from newsletter_svc.articles.front_matter import read_markdown
from newsletter_svc.articles.json_source import read_json

MAX_FILE_BYTES = 5_000_000

_READERS = {".md": read_markdown, ".markdown": read_markdown, ".json": read_json}


@dataclass(frozen=True)
class Reading:
    """What came out of some files: the articles that can be taken, and every reason why others cannot."""

    drafts: tuple[ArticleDraft, ...]
    problems: tuple[BrokenArticle, ...]


def read_files(paths: Iterable[Path]) -> Reading:
    """Read `.md`, `.markdown` and `.json` files in the order given."""
    drafts: list[ArticleDraft] = []
    problems: list[BrokenArticle] = []
    for path in paths:
        found, broken = _read_file(path)
        drafts += found
        problems += broken
    return Reading(tuple(drafts), tuple(problems))


def _read_file(path: Path) -> tuple[list[ArticleDraft], list[BrokenArticle]]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return [], [BrokenArticle(path, None, "an article file is called .md, .markdown or .json")]
    try:
        text = _decode(path, _read_bytes(path))
    except _UnreadableError as error:
        return [], [error.problem]
    return reader(path, text)


class _UnreadableError(Exception):
    def __init__(self, problem: BrokenArticle) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _UnreadableError(BrokenArticle(path, None, f"cannot be read: {error.strerror}")) from error
    if len(data) > MAX_FILE_BYTES:
        raise _UnreadableError(BrokenArticle(path, None, f"is larger than {MAX_FILE_BYTES:,} bytes"))
    return data


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"
        raise _UnreadableError(BrokenArticle(path, line, reason)) from error
