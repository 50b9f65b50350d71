"""Defence against requests that another site makes a reader's browser send."""

import hmac
import secrets

from flask import Response, g, request

from newsletter_svc.errors import NewsletterError
from newsletter_svc.web import cookies
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.state import parts

FIELD = "csrf"


class ForgedRequest(NewsletterError):
    """The request cannot be told from one that another site made up."""


def field() -> str:
    """The value of the hidden field on a page of ours: bound to a cookie that only this browser has."""
    nonce = cookies.read(Cookie.FORM) or g.get("form_nonce") or secrets.token_urlsafe(24)
    g.form_nonce = nonce
    return _expected(nonce, parts().keyring.newest)


def field_of(page: str) -> str:
    """The value of the hidden field on a page whose address is a secret already (`page` is its token): no cookie."""
    return _expected(page, parts().keyring.newest)


def check_field_of(page: str) -> None:
    """For forms on such a page. Raises ForgedRequest unless the field is there, or the request is JSON.

    The address alone is the power; the field keeps programs that only know how to send something to an address from
    changing anything.
    """
    given = request.form.get(FIELD, "")
    if request.mimetype != "application/json" and not any(_matches(page, given, key) for key in parts().keyring.all):
        raise ForgedRequest("no field of this page")


def remember(response: Response) -> Response:
    """Give the browser the cookie that belongs to the field, when a page with one was made."""
    if "form_nonce" in g and cookies.read(Cookie.FORM) is None:
        cookies.put(response, Cookie.FORM, g.form_nonce)
    return response


def has_field() -> bool:
    """Whether the form carries the hidden field that we gave to this browser."""
    nonce, given = cookies.read(Cookie.FORM), request.form.get(FIELD, "")
    if nonce is None:
        return False
    return any(_matches(nonce, given, key) for key in parts().keyring.all)


def is_from_frontend() -> bool:
    """Whether the browser says that a page of the frontend, or of ours, made the request."""
    settings = parts().settings
    return request.headers.get("Origin") in {settings.public_url, settings.frontend_url, *settings.frontend_origins}


def is_vouched_for() -> bool:
    """Whether nothing suggests that a page of a foreign site made this request.

    Our own pages send `Origin: null`, since they send no referrer; `Sec-Fetch-Site` tells them from others.
    """
    is_our_page = request.headers.get("Sec-Fetch-Site") == "same-origin"
    is_json = request.mimetype == "application/json"
    return is_our_page or is_json or is_from_frontend() or is_not_a_browser() or has_field()


def is_not_a_browser() -> bool:
    """Whether nothing shows that a page made this request: browsers tell the origin of every POST."""
    return "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers


def check_own_request() -> None:
    """For whatever acts by cookie. Raises ForgedRequest unless our field, our origins or JSON vouch for it.

    JSON vouches because a browser asks first (CORS preflight) before it sends that to another origin.
    """
    if not (has_field() or is_from_frontend() or request.mimetype == "application/json"):
        raise ForgedRequest("neither field nor origin nor JSON")


def _matches(nonce: str, given: str, key: str) -> bool:
    return hmac.compare_digest(_expected(nonce, key).encode(), given.encode(errors="replace"))


def _expected(nonce: str, key: str) -> str:
    return parts().keyring.derive(key, "form", nonce).hex()
