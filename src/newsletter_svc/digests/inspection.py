"""What an editor should know of a mail before it goes out: its size, its links, its pictures, its subject."""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from html.parser import HTMLParser
from urllib.parse import urlsplit

from newsletter_svc.digests.fitting import MAX_ENCODED_OCTETS, MAX_OCTETS
from newsletter_svc.settings import is_loopback

SUBJECT_SHOWN = 60
"""About so many characters of a subject are shown beside the sender on a wide screen; phones show fewer."""
_NAMED = 3
_RARELY_SHOWN = (".webp", ".avif", ".svg", ".heic", ".jxl")


@dataclass(frozen=True)
class Remark:
    """One thing that was looked at: `Remark(True, "Subject", "It has 38 characters.")`."""

    is_good: bool
    about: str
    text: str


def inspect(raw: bytes) -> list[Remark]:
    """What is to be said of a finished mail with a text and an HTML part."""
    message = message_from_bytes(raw, policy=policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    page = _Page()
    if html is not None:
        page.feed(html.get_content())
        page.close()
    written = text.get_content() if text is not None else ""
    encoded = str(html.get_payload()) if html is not None else ""
    return [
        _subject(str(message["Subject"])),
        _size(encoded, html.get_content() if html is not None else ""),
        *_links(page),
        *_in_both_parts(page, written),
        *_pictures(page),
    ]


def _subject(subject: str) -> Remark:
    count = len(subject)
    if count > SUBJECT_SHOWN:
        text = f"It has {count} characters; many programs show about {SUBJECT_SHOWN}, phones fewer."
        return Remark(False, "Subject", text)
    return Remark(True, "Subject", f"It has {count} characters.")


def _size(encoded: str, html: str) -> Remark:
    sent, read = len(encoded), len(html.encode())
    text = f"The HTML part has {sent:,} octets as it is sent; Gmail cuts off at {MAX_ENCODED_OCTETS:,}."
    return Remark(sent < MAX_ENCODED_OCTETS and read < MAX_OCTETS, "Size", text)


def _links(page: "_Page") -> Iterator[Remark]:
    faults = [f"{link.url or 'a link without address'} {fault}" for link in page.links if (fault := _fault(link))]
    if faults:
        yield Remark(False, "Links", f"{_some(list(dict.fromkeys(faults)))}.")
    else:
        yield Remark(True, "Links", f"All {len(page.links)} lead to https addresses and say where.")


def _fault(link: "_Link") -> str | None:
    parts = urlsplit(link.url)
    if parts.scheme == "mailto":
        return None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "is no address that a reader can open"
    if is_loopback(parts.hostname):
        return "opens on this machine alone"
    if parts.scheme == "http":
        return "is not https"
    return None if link.text.strip() else "has no text"


def _in_both_parts(page: "_Page", text: str) -> Iterator[Remark]:
    missing = [link.url for link in page.links if link.url and link.url not in text]
    if missing:
        yield Remark(False, "Text part", f"It lacks {_some(list(dict.fromkeys(missing)))}.")
    else:
        yield Remark(True, "Text part", "It has every link of the HTML part.")


def _pictures(page: "_Page") -> Iterator[Remark]:
    faults = [f"{source} {fault}" for source, alt in page.pictures if (fault := _fault_of_picture(source, alt))]
    silent = sum(not alt for _, alt in page.pictures)
    decorative = f", {silent} of them an empty one, as for decoration" if silent else ""
    match len(page.pictures):
        case _ if faults:
            yield Remark(False, "Pictures", f"{_some(list(dict.fromkeys(faults)))}.")
        case 0:
            yield Remark(True, "Pictures", "There is none.")
        case 1:
            yield Remark(True, "Pictures", f"The only one has an {'empty ' if silent else ''}alternative text.")
        case count:
            yield Remark(True, "Pictures", f"All {count} have an alternative text{decorative}.")


def _fault_of_picture(source: str, alt: str | None) -> str | None:
    if alt is None:
        return "has no alternative text (alt)"
    parts = urlsplit(source)
    if parts.path.lower().endswith(_RARELY_SHOWN):
        return "is of a format that many mail programs do not show (use JPEG, PNG or GIF)"
    return "is not https" if parts.scheme == "http" and not is_loopback(parts.hostname or "") else None


def _some(things: list[str]) -> str:
    more = len(things) - _NAMED
    return "; ".join(things[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


@dataclass
class _Link:
    url: str
    text: str = ""


class _Page(HTMLParser):
    """Collects the links with their texts, and the pictures with theirs (None where there is no alt at all)."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[_Link] = []
        self.pictures: list[tuple[str, str | None]] = []
        self._open: _Link | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a":
            self._open = _Link(found.get("href") or "", found.get("aria-label") or "")
            self.links.append(self._open)
        elif tag == "img":
            alt = (found["alt"] or "") if "alt" in found else None
            self.pictures.append((found.get("src") or "", alt))
            self.handle_data(alt or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open.text += data
