"""A browser in a reader's words: enough to recognise one's own, no more."""

from newsletter_svc.web import messages
from newsletter_svc.words import Saying

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""Looked for in this order: most browsers also claim to be the ones further down."""


def label(user_agent: str) -> str:
    """`Firefox on Linux`; `an unknown program` for what is no browser that we know."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in SYSTEMS if mark in user_agent), None)
    if browser is None:
        return messages.say(Saying("browsers.unknown"))
    if system is None:
        return browser
    return messages.say(Saying("browsers.on_system", {"browser": browser, "system": system}))
