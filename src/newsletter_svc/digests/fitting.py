"""How long a mail may be. Gmail cuts the HTML part off at 102 KB, and the link to unsubscribe with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import structlog

from newsletter_svc.digests.content import Entry, Shape
from newsletter_svc.mail import mime, slots
from newsletter_svc.mail.message import Rendered

log = structlog.get_logger()

MAX_OCTETS = 100_000
"""Of the HTML part as it is read."""
MAX_ENCODED_OCTETS = 102_400
"""Of the HTML part as it is sent, in quoted-printable."""
_LONGEST_VALUE = "https://" + "x" * 400
"""At least as long as what readers get in a slot."""

_SHORTER = (
    *(Shape(whole=1, excerpts=count) for count in (4, 3, 2, 1, 0)),
    Shape(whole=0, excerpts=5),
    Shape(whole=0, excerpts=5, titles=10),
    Shape(whole=0, excerpts=1, titles=0),
)
"""What gives way first: excerpts become titles, then the lead an excerpt, then titles are left to the web version."""


Render = Callable[[Sequence[Entry], Shape], Rendered]


def shortened(entries: Sequence[Entry], render: Render, *, web_url: str) -> Rendered:
    """The longest form of an issue that no mail program cuts off. What it leaves out stands at `web_url`."""
    for entries_then, shape in _forms(entries, web_url):
        rendered = render(entries_then, shape)
        if fits(rendered):
            return rendered
    log.warning("digest_too_long", octets=len(rendered.html.encode()))
    return rendered


def fits(rendered: Rendered) -> bool:
    """Whether the HTML part is shown whole, whatever stands in its slots."""
    html = filled(rendered.html)
    return len(html.encode()) < MAX_OCTETS and len(mime.quoted_printable(html)) < MAX_ENCODED_OCTETS


def filled(html: str) -> str:
    """The HTML part with long values in its slots."""
    return slots.fill_text(html, dict.fromkeys(slots.split(html)[1::2], _LONGEST_VALUE))


def anchor(place: int) -> str:
    """Where the web version has the article that stands there as number `place`."""
    return f"article-{place}"


def _forms(entries: Sequence[Entry], web_url: str) -> Iterator[tuple[Sequence[Entry], Shape]]:
    yield entries, Shape()
    # An article without an address can be read in the web version, so it too can be shortened.
    linked = [
        entry if entry.url is not None else replace(entry, url=f"{web_url}#{anchor(place)}")
        for place, entry in enumerate(entries, 1)
    ]
    for shape in _SHORTER:
        yield linked, shape
