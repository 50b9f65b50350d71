"""What the long selects of our pages offer: time zones by area, and languages by their own names."""

from dataclasses import dataclass
from itertools import groupby

from babel import Locale

from newsletter_svc import zones as time_zones

LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en-GB", "en-US", "es", "et", "fa", "fi", "fr", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sr", "sv"),
    *("sw", "ta", "th", "tr", "uk", "ur", "vi", "zh"),
)
"""Many read one of them; a reader of another sets it by JSON."""


@dataclass(frozen=True)
class Option:
    """One line of a select."""

    value: str
    label: str


@dataclass(frozen=True)
class Area:
    """Zones that stand together, such as those of Europe."""

    name: str
    zones: list[Option]


def zones(chosen: str | None) -> list[Area]:
    """All zones by area; one that was chosen elsewhere under an older name is there too."""
    names = sorted({*time_zones.places(), *([chosen] if chosen else [])})
    return [
        Area(area, [Option(name, name.partition("/")[2].replace("_", " ") or name) for name in found])
        for area, found in groupby(names, key=lambda name: name.partition("/")[0])
    ]


def languages(chosen: str | None, *, own: str) -> list[Option]:
    """Languages by the names that their speakers give them; the service's `own` and the chosen one are among them."""
    codes = sorted({*LANGUAGES, own, *([chosen] if chosen else [])})
    return [Option(code, Locale.parse(code, sep="-").display_name or code) for code in codes]
