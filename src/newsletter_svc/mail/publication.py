"""What every template knows as `publication`: its name and words, its language and direction, its colours and logo."""

from dataclasses import dataclass

from babel import Locale

from newsletter_svc import palette
from newsletter_svc.palette import Palette
from newsletter_svc.settings import Settings


@dataclass(frozen=True)
class Logo:
    """A picture in the place of the name; `width` is in pixels."""

    url: str
    width: int


@dataclass(frozen=True)
class Publication:
    name: str
    url: str
    postal_address: str
    tagline: str | None
    footer: str | None
    logo: Logo | None
    lang: str
    """As HTML wants it: `en-GB`."""
    dir: str
    start: str
    """The side where a line begins: `left`, or `right` in a right-to-left language. Outlook knows no `start`."""
    end: str
    light: Palette
    dark: Palette

    @property
    def is_rtl(self) -> bool:
        return self.dir == "rtl"


def publication_of(settings: Settings) -> Publication:
    direction = Locale.parse(settings.language, sep="-").text_direction
    return Publication(
        name=settings.publication_name,
        url=settings.frontend_url,
        postal_address=settings.postal_address,
        tagline=settings.tagline,
        footer=settings.footer_text,
        logo=Logo(settings.logo_url, settings.logo_width) if settings.logo_url else None,
        lang=settings.language,
        dir=direction,
        start="right" if direction == "rtl" else "left",
        end="left" if direction == "rtl" else "right",
        light=palette.branded(palette.LIGHT, accent=settings.brand_color, button=settings.button_color),
        dark=palette.branded(palette.DARK, accent=_dark_accent(settings), button=_dark_button(settings)),
    )


def _dark_accent(settings: Settings) -> str | None:
    """What the brand's colour is in the dark: a colour of its own, or its lighter tone."""
    if settings.brand_color_dark or settings.brand_color is None:
        return settings.brand_color_dark
    return palette.readable(settings.brand_color, palette.DARK)


def _dark_button(settings: Settings) -> str | None:
    return palette.readable(settings.button_color, palette.DARK) if settings.button_color else None
