"""The archive as an Atom feed (RFC 4287, RFC 5005)."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from newsletter_svc.digests.archive import Page, PastIssue
from newsletter_svc.links import Links
from newsletter_svc.mail.publication import Publication

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_ATOM = "http://www.w3.org/2005/Atom"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# XML 1.0 has no way to write these.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def atom(page: Page, number: int, *, links: Links, publication: Publication, title: str, slug: str | None) -> bytes:
    """One page of the feed; `slug` is that of the newsletter, None for all of them."""
    feed = ET.Element("feed", {"xmlns": _ATOM, _LANGUAGE: publication.lang})
    _text(feed, "id", links.feed(slug=slug))
    _text(feed, "title", title)
    _text(feed, "updated", max((issue.made_at for issue in page.issues), default=_NEVER).isoformat())
    _text(ET.SubElement(feed, "author"), "name", publication.name)
    _link(feed, "self", links.feed(slug=slug, page=number))
    _link(feed, "alternate", links.archive(slug=slug))
    if number > 1:
        _link(feed, "first", links.feed(slug=slug))
        _link(feed, "previous", links.feed(slug=slug, page=number - 1))
    if page.has_older:
        _link(feed, "next", links.feed(slug=slug, page=number + 1))
    for issue in page.issues:
        _entry(feed, issue, links.digest(issue.public_id))
    written: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(feed: ET.Element, issue: PastIssue, url: str) -> None:
    entry = ET.SubElement(feed, "entry")
    _text(entry, "id", url)
    _text(entry, "title", issue.subject)
    _text(entry, "updated", issue.made_at.isoformat())
    _text(entry, "published", issue.made_at.isoformat())
    _link(entry, "alternate", url)
    _text(entry, "summary", "\n".join(issue.titles))


def _link(parent: ET.Element, relation: str, url: str) -> None:
    ET.SubElement(parent, "link", rel=relation, href=url)


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _NOT_XML.sub("", text)
