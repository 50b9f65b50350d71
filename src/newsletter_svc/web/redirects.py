"""Where a browser may be sent back to: the frontend, and nowhere else."""

from collections.abc import Mapping
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

from newsletter_svc.settings import Settings

FRONT_PAGE = "/"
MAX_LENGTH = 2_000
# Browsers read a backslash as a slash, and drop tabs and line ends from an address before they look at it.
TREACHEROUS = frozenset("\\\t\r\n")


def checked(wanted: str, settings: Settings) -> str:
    """The address to go back to: a path on FRONTEND_URL, or an address on one of FRONTEND_ORIGINS.

    Anything else becomes the front page: who asks for too much gets a sign-in, but no open redirect.
    """
    return wanted if _is_path(wanted) or _is_ours(wanted, settings) else FRONT_PAGE


def absolute(target: str, query: Mapping[str, str], settings: Settings) -> str:
    """The checked target as an absolute address, with `query` in place of parameters of the same names."""
    parts = urlsplit(settings.frontend_url + target if target.startswith("/") else target)
    # Names are compared as frontends read them: a `%61ction` in front of ours would speak first.
    kept = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in query]
    return urlunsplit(parts._replace(query="&".join([*kept, urlencode(query)])))


def _is_path(wanted: str) -> bool:
    if not _is_plain(wanted) or not wanted.startswith("/"):
        return False
    # `/%2fevil` is a path here, but frontends and proxies that decode it first would go to //evil.
    return not wanted.lower().startswith(("//", "/%2f", "/%5c"))


def _is_ours(wanted: str, settings: Settings) -> bool:
    if not _is_plain(wanted):
        return False
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return False
    origins = {settings.frontend_url, *settings.frontend_origins}
    return parts.username is None and f"{parts.scheme}://{parts.netloc}" in origins


def _is_plain(wanted: str) -> bool:
    return len(wanted) <= MAX_LENGTH and wanted.isascii() and wanted.isprintable() and not set(wanted) & TREACHEROUS
