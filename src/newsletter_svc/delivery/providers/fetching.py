"""Fetching a small file of a provider's: over https, checked, without redirects, and not for long."""

import http.client
import ssl
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

from newsletter_svc.errors import NewsletterError

SECONDS = 5.0
LIMIT = 64 * 1024


class NotFetched(NewsletterError):
    """The provider could not be asked just now; its next try may find it answering."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        """Go nowhere else: only the address that was asked for has been checked."""


def fetch(url: str) -> bytes:
    """What stands at this https address. Raises NotFetched."""
    opener = build_opener(HTTPSHandler(context=ssl.create_default_context()), _NoRedirects())
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            return bytes(answer.read(LIMIT))
    except (URLError, OSError, http.client.HTTPException) as error:
        raise NotFetched("the provider does not answer") from error
