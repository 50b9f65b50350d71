"""Slots: the places in a digest, rendered once for all, where a reader's own parts are filled in later.

While a template is rendered, a slot is a word that nobody can guess. Afterwards the word becomes the slot's name
between two code points that Unicode reserves for such use inside a program, and that were taken out of everything
else. So the frozen text needs no secret beside it, and an article that prints a slot prints just that.
"""

import html
import re
import secrets
from collections.abc import Iterable, Mapping

from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.message import Rendered

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
SLOT = re.compile(f"{_OPEN}([a-z_]+){_CLOSE}")
"""A slot in frozen text; the group is its name."""
_RESERVED = re.compile(f"[{_OPEN}{_CLOSE}]")


class LostSlot(NewsletterError):
    """A template does not print a slot, or a value for it is missing: readers would get a mail without that part."""

    def __init__(self, slot: str) -> None:
        super().__init__(f"the slot {slot!r} is printed nowhere or has no value")
        self.slot = slot


def markers(slots: Iterable[str]) -> dict[str, str]:
    """Return a word for each slot that stands for its value while the template is rendered.

    Letters and digits only, so neither escaping nor the inlining of styles nor a wrapped line changes it.
    """
    return {slot: f"slot{secrets.token_hex(16)}" for slot in slots}


def freeze(rendered: Rendered, words: Mapping[str, str]) -> Rendered:
    """Return `rendered` with its words turned into slots. Raises `LostSlot` unless both parts print each of them."""
    for slot, word in words.items():
        if word not in rendered.text or word not in rendered.html:
            raise LostSlot(slot)
    return Rendered(
        subject=_RESERVED.sub("", rendered.subject),
        text=_freeze_part(rendered.text, words),
        html=_freeze_part(rendered.html, words),
    )


def fill(rendered: Rendered, values: Mapping[str, str]) -> Rendered:
    """Return one reader's copy: each slot replaced by its value, escaped in the HTML part.

    Raises `LostSlot` for a slot without a value. Values are not searched for slots.
    """
    return Rendered(
        subject=rendered.subject,
        text=_fill_part(rendered.text, values),
        html=_fill_part(rendered.html, {slot: html.escape(value) for slot, value in values.items()}),
    )


def place(slot: str) -> str:
    """Return a slot as it stands in frozen text, for text that no template made: `f"<{place('unsubscribe_url')}>"`."""
    return f"{_OPEN}{slot}{_CLOSE}"


def split(part: str) -> list[str]:
    """Return the text before the first slot, that slot's name, the text up to the next one, and so on."""
    return SLOT.split(part)


def fill_text(part: str, values: Mapping[str, str]) -> str:
    """Return `part` with its slots filled, nothing escaped. Raises `LostSlot`."""
    return _fill_part(part, values)


def _freeze_part(part: str, words: Mapping[str, str]) -> str:
    part = _RESERVED.sub("", part)
    for slot, word in words.items():
        part = part.replace(word, place(slot))
    return part


def _fill_part(part: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise LostSlot(match[1])
        return values[match[1]]

    return SLOT.sub(value, part)
