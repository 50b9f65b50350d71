"""What keeps a mail to a phone's width where its styles are left out: smaller pictures, long words that may break."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from math import ceil

from newsletter_svc.mail import slots

SHARE = 220 / 520
"""What is left of a picture's width: of the text's 520 pixels so many that a quotation on a narrow phone has room."""
SMALL = 100
"""Pixels; a picture of this width fits beside everything."""
LONGEST_IN_HEADING = 16
LONGEST = 28
"""Characters of a word that a narrow phone shows in one line, in the size that text has without styles."""
PIECE = 12
"""The most characters between two places where a long word may break."""

# Scripts whose lines end at almost any letter, or where a dictionary says so; pictures that are letters; slots.
_NO_PART_OF_A_WORD = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff"
    r"\ufdd0-\ufdef"
)
_TOKEN = re.compile(
    r"<(?:!--.*?--|style\b.*?</style|(?P<end>/?)(?P<tag>[a-z][a-z0-9]*)[^>\"]*+(?:\"[^\"]*\"[^>\"]*+)*+)>"
    rf"|(?P<words>[^\s<]{{{LONGEST_IN_HEADING + 1},}})",
    re.DOTALL,
)
_WORD = re.compile(rf"(?P<slot>{slots.SLOT.pattern})|(?:&[a-z]+;|[^\s&–—{_NO_PART_OF_A_WORD}-])+")
_CHARACTER = re.compile(r"&[a-z]+;|.")
_ATTRIBUTE = re.compile(r' ([^\s="]+)="([^"]*)"')
_ADDRESS = re.compile(r"://|@|www\.")
_HAS_WIDTH = re.compile(r"(?:^|;)\s*width:")
_HEADING = re.compile("h[1-6]")
_ZERO_WIDTH_JOINER = "\u200d"
_SOFT_HYPHEN = "\u00ad"


def fitted(html: str) -> str:
    """Return an HTML part, its styles inlined, that is no wider than a phone when they are left out.

    With styles it looks as before: they say the pictures' widths, and hide where words may break (`_kept.css`).
    Outlook, which knows no other width than the attribute's, gets the pictures as they were.
    """
    head, body, content = html.partition("<body")
    return head + _TOKEN.sub(_Reader().fitted, body + content)


class _Reader:
    """Goes through a page and knows what it stands in."""

    def __init__(self) -> None:
        self._is_in_link = False
        self._is_in_heading = False

    def fitted(self, token: re.Match[str]) -> str:
        if token["words"]:
            return self._breakable(token["words"])
        if token["tag"] == "img":
            return _picture(token.group())
        if token["tag"] == "a":
            self._is_in_link = not token["end"]
        elif token["tag"] and _HEADING.fullmatch(token["tag"]):
            self._is_in_heading = not token["end"]
        return token.group()

    def _breakable(self, words: str) -> str:
        # Programs make a link of an address that stands in the text, if it is whole.
        if _ADDRESS.search(words) and not self._is_in_link:
            return words
        return _broken(words, "<wbr>", longest=LONGEST_IN_HEADING if self._is_in_heading else LONGEST)


def _broken(words: str, between: str, *, longest: int) -> str:
    """Put `between` into each word that is longer than `longest`, after `PIECE` characters or fewer."""
    return _WORD.sub(lambda word: word.group() if word["slot"] else between.join(_pieces(word.group(), longest)), words)


def _pieces(word: str, longest: int) -> list[str]:
    # Nearly all words need no more than this.
    if len(word) <= longest:
        return [word]
    characters = word if word.isascii() and "&" not in word else list(_characters(word))
    if len(characters) <= longest:
        return [word]
    # Of one length, so that a full stop never stands alone.
    size = ceil(len(characters) / ceil(len(characters) / PIECE))
    return ["".join(characters[start : start + size]) for start in range(0, len(characters), size)]


def _characters(word: str) -> Iterator[str]:
    """What a reader takes for one: `&amp;` is one, and a letter with what stands on it."""
    held = ""
    for character in _CHARACTER.findall(word):
        if held and not _continues(character, held):
            yield held
            held = ""
        held += character
    yield held


def _continues(character: str, held: str) -> bool:
    return len(character) == 1 and (
        unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf", "Sk") or held.endswith(_ZERO_WIDTH_JOINER)
    )


def _picture(element: str) -> str:
    """The picture for Outlook as it is, and for the others with a smaller width in its attribute than in its style."""
    attributes = dict(_ATTRIBUTE.findall(element))
    if "alt" in attributes:
        # It stands in the picture's place while pictures are off. No element fits into it, but a soft hyphen does.
        attributes["alt"] = _broken(attributes["alt"], _SOFT_HYPHEN, longest=LONGEST)
    width = attributes.get("width", "")
    if not width.isdecimal() or int(width) <= SMALL:
        return _image(attributes)
    narrow = {name: value for name, value in attributes.items() if name != "height"}
    narrow["width"] = str(round(int(width) * SHARE))
    styles = attributes.get("style", "")
    if not _HAS_WIDTH.search(styles):
        narrow["style"] = f"width: {width}px;{styles}"
    return f"<!--[if mso]>{_image(attributes)}<![endif]--><!--[if !mso]><!-->{_image(narrow)}<!--<![endif]-->"


def _image(attributes: Mapping[str, str]) -> str:
    # In a comment no bracket may stand as it is, or an alternative text could end it.
    escaped = {name: value.replace("<", "&lt;").replace(">", "&gt;") for name, value in attributes.items()}
    return "<img" + "".join(f' {name}="{value}"' for name, value in escaped.items()) + ">"
