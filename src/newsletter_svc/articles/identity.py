"""What makes an article the same one again, and its short name in our own addresses."""

import hashlib
import re
import unicodedata
from urllib.parse import unquote, urlsplit

from newsletter_svc.articles.addresses import canonical_url
from newsletter_svc.articles.cleaning import fold

SLUG_LENGTH = 80
_FILE_ENDING = re.compile(r"\.(html?|php|aspx?)$")


def identity_of(*, url: str | None, title: str) -> str:
    """Return a hash of the page's canonical address; of the title where there is no address."""
    source = f"url {canonical_url(url)}" if url else f"title {fold(title)}"
    return hashlib.sha256(source.encode()).hexdigest()


def slug_for(*, url: str | None, title: str, identity: str) -> str:
    """Return `coalition-budget` for `https://news.example/2026/coalition-budget/`; else it is made of the title."""
    last_step = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2] if url else ""
    from_url = _slug(_FILE_ENDING.sub("", last_step.lower()))
    return from_url or _slug(title) or f"article-{identity[:8]}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    return "-".join(words)[:SLUG_LENGTH].rstrip("-")
