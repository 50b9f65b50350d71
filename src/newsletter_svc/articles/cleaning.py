"""Cleaning what people type or paste: characters that no reader can see and no mail may carry."""

import re
import unicodedata

# Line separators that editors do not count as lines; as a space they neither glue words nor move line numbers.
_ODD_BREAKS = re.compile("[\v\f\x1c-\x1f\x85\u2028\u2029]")

# Controls, lone surrogates, noncharacters, the byte order mark, and what reverses the direction of the text around
# it. Joiners (emoji, Persian) and the plain left-to-right and right-to-left marks stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2060\u2066-\u2069\ufdd0-\ufdef\ufeff\ufffe\uffff\ud800-\udfff]"
)


def clean_text(text: str) -> str:
    """Return `text` with `\\n` line ends and without control characters; tabs stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _INVISIBLE.sub("", _ODD_BREAKS.sub(" ", text))


def clean_line(text: str) -> str:
    """Return `text` as one line with single spaces, as for a title; no-break spaces stay."""
    return re.sub(r"[ \t\n]+", " ", clean_text(text)).strip()


def fold(text: str) -> str:
    """Return `text` as it is compared: `"A  Title"` and `"a title"` are the same."""
    return clean_line(unicodedata.normalize("NFKC", text)).casefold()
