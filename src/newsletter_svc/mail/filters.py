"""What the e-mail templates call beyond Jinja: wrapping, and names that are safe to greet with."""

import re
import textwrap

from newsletter_svc.mail.headers import clean

WIDTH = 72
_NAME_LIMIT = 60
_LEAD = re.compile(r"[ ]*(?:> ?)*(?:(?:[-*•]|\d{1,3}[.)])[ ]+)?")
_LINK_IN_NAME = re.compile(r"://|@|www\.|[^\W\d_]{2,}\.[^\W\d_]{2,}", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


def wrap(text: str, width: int = WIDTH) -> str:
    """Break each line of `text` at spaces. A word is never broken, so an address stays whole.

    Quotes keep their `>` on every line, and list items hang: `- one two` goes on under `one`.
    """
    return "\n".join(_wrap_line(line, width) for line in re.split(r"\r\n|\r|\n", text))


def greeting_name(name: str | None) -> str:
    """Return the name to greet with, empty when it could be read as a link.

    Whoever asks for a mail to somebody else's address chooses the name in it, and would have us carry advertising.
    """
    line = clean(name or "", limit=_NAME_LIMIT)
    return "" if _LINK_IN_NAME.search(line) else line


def tidy(text: str) -> str:
    """Return a rendered text part without trailing spaces and with single blank lines, as templates cannot leave it."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"


def _wrap_line(line: str, width: int) -> str:
    lead = _LEAD.match(line)
    first = lead[0] if lead else ""
    if not line[len(first) :].strip():
        return line
    later = first if ">" in first else " " * len(first)
    return textwrap.fill(
        line[len(first) :],
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
