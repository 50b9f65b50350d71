"""HTML of mails in a browser: what it may do there, where its links open, and in which colours it is seen."""

import re
from enum import StrEnum

from newsletter_svc.settings import Settings

_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
_DARK_RULES = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_SCHEMES = re.compile(r'(<meta name="(?:supported-color-schemes|color-scheme)" content=")[^"]*"', re.IGNORECASE)


class Scheme(StrEnum):
    LIGHT = "light"
    DARK = "dark"


def policy(settings: Settings, *, framed: bool = False) -> str:
    """What a mail program would allow: pictures and inline styles, and nothing else.

    In a frame of ours its links open in a new tab, and it is kept apart from the page around it.
    """
    sandbox = "sandbox allow-popups allow-popups-to-escape-sandbox; " if framed else ""
    around = "'self'" if framed else "'none'"
    return (
        f"{sandbox}default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: {settings.public_url}; "
        f"frame-ancestors {around}; base-uri 'none'; form-action 'none'"
    )


def opening_elsewhere(html: str) -> str:
    """Let the mail's links open outside the frame in which it is shown."""
    base = '<base target="_blank">'
    return _HEAD.sub(lambda head: head.group() + base, html, count=1) if _HEAD.search(html) else base + html


def in_scheme(html: str, scheme: Scheme) -> str:
    """The page as it is seen with these colours, whatever the browser prefers itself."""
    rules = "@media all" if scheme is Scheme.DARK else "@media not all"
    return _SCHEMES.sub(rf'\g<1>{scheme}"', _DARK_RULES.sub(rules, html))
