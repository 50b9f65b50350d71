"""The colours of mails in the light and the dark scheme, and whether text in them can be read (WCAG 2.2, 1.4.3)."""

import re
from dataclasses import dataclass, replace

READABLE = 4.5
"""The least contrast of text to what is behind it."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_STEPS = 50


@dataclass(frozen=True)
class Palette:
    """One scheme. Every value is written `#9c3a1c`, the one form that all mail programs know."""

    paper: str
    """Behind the sheet, and behind the footer."""
    sheet: str
    panel: str
    """Behind a one-time code."""
    rule: str
    ink: str
    muted: str
    accent: str
    """Links, and the few words that stand out."""
    button: str
    on_button: str


LIGHT = Palette(
    paper="#f6f2ea",
    sheet="#ffffff",
    panel="#f2ede3",
    rule="#d9d2c4",
    ink="#16233a",
    muted="#566072",
    accent="#9c3a1c",
    button="#1d3155",
    on_button="#ffffff",
)
DARK = Palette(
    paper="#10161f",
    sheet="#18212d",
    panel="#26354a",
    rule="#3a475a",
    ink="#ece7dc",
    muted="#a9b2bf",
    accent="#f09a76",
    button="#b9cdf0",
    on_button="#10192a",
)


def is_colour(value: str) -> bool:
    return _COLOUR.fullmatch(value) is not None


def branded(palette: Palette, *, accent: str | None, button: str | None) -> Palette:
    """Return the palette with a publication's own colours; a brand's one colour is its buttons' too."""
    if accent is None and button is None:
        return palette
    accent, button = accent or palette.accent, button or accent or palette.button
    return replace(palette, accent=accent, button=button, on_button=_text_on(button))


def is_readable(colour: str, palette: Palette) -> bool:
    """Whether text of this colour can be read wherever a mail has links."""
    return min(contrast(colour, palette.sheet), contrast(colour, palette.paper)) >= READABLE


def readable(colour: str, palette: Palette) -> str:
    """Return the nearest tone in which links can be read: darker on a light sheet, lighter on a dark one."""
    towards = "#000000" if luminance(palette.sheet) > luminance(palette.ink) else "#ffffff"
    tones = (_mixed(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(tone for tone in tones if is_readable(tone, palette))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 (the same) to 21 (black and white)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance, from 0 (black) to 1 (white)."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _text_on(colour: str) -> str:
    # On every colour there is, either white or black has a contrast of 4.58 at least.
    return "#ffffff" if contrast(colour, "#ffffff") >= READABLE else "#000000"


def _mixed(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> bytes:
    return bytes.fromhex(colour.removeprefix("#"))
