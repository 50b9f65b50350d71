"""JSON files: one article as an object, or a list of them, with the keys of the front matter and `body`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from newsletter_svc.articles.drafts import ArticleDraft, BrokenArticle, Checker, Field

_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path: Path, text: str) -> tuple[list[ArticleDraft], list[BrokenArticle]]:
    """Read every article of a JSON file; one broken article does not keep its neighbours out."""
    try:
        # Control characters inside strings are forgiven here and taken out with all others.
        json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        return [], [BrokenArticle(path, error.lineno, f"is not valid JSON: {error.msg} (column {error.colno})")]
    except (ValueError, RecursionError):  # A number of thousands of digits, thousands of brackets.
        return [], [BrokenArticle(path, None, "is not valid JSON")]
    drafts: list[ArticleDraft] = []
    problems: list[BrokenArticle] = []
    for value, start, end in _values(text):
        draft, broken = _article(path, value, text=text, start=start, end=end)
        drafts += [draft] if draft else []
        problems += broken
    return drafts, problems


def _values(text: str) -> Iterator[tuple[Any, int, int]]:
    """Yield each article with the place it has in a text that is known to be valid JSON."""
    decoder = json.JSONDecoder(strict=False)
    at = _skip_space(text, 0)
    if text[at] != "[":
        value, end = decoder.raw_decode(text, at)
        yield value, at, end
        return
    at = _skip_space(text, at + 1)
    while text[at] != "]":
        value, end = decoder.raw_decode(text, at)
        yield value, at, end
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)


def _article(
    path: Path, value: Any, *, text: str, start: int, end: int
) -> tuple[ArticleDraft | None, list[BrokenArticle]]:
    first_line = text.count("\n", 0, start) + 1
    if not isinstance(value, dict):
        return None, [BrokenArticle(path, first_line, "an article must be an object with title and body")]
    fields = {
        key: Field(_text_of(item), first_line + text.count("\n", start, _place_of(key, text, start, end)))
        for key, item in value.items()
    }
    checker = Checker(path, fields, first_line=first_line)
    return checker.draft(), checker.problems


def _text_of(item: Any) -> str | None:
    if item is None:
        return ""
    return item if isinstance(item, str) else None


def _place_of(key: str, text: str, start: int, end: int) -> int:
    # A quoted key inside a string carries a backslash before its quote, so it is not taken for the key itself.
    found = re.compile(r'(?<!\\)"' + re.escape(key) + r'"[ \t\r\n]*:').search(text, start, end)
    return found.start() if found else start


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
