"""Our cookies: who is signed in, which browser asked for a link, and which one was shown a form."""

from datetime import timedelta
from enum import StrEnum

from flask import request
from werkzeug.wrappers import Response

from newsletter_svc.web.state import parts


class Cookie(StrEnum):
    SESSION = "session"
    PRESESSION = "presession"
    FORM = "form"


LIFETIMES = {Cookie.PRESESSION: timedelta(minutes=15), Cookie.FORM: timedelta(hours=12)}
"""Of those whose length is no setting."""


def read(cookie: Cookie) -> str | None:
    """The value that the browser sent; None for none, or for one that is longer than ours ever are."""
    value = request.cookies.get(name(cookie), "")
    return value if 0 < len(value) <= 100 else None


def put(response: Response, cookie: Cookie, value: str) -> None:
    response.set_cookie(
        name(cookie),
        value,
        max_age=LIFETIMES.get(cookie, parts().lifetimes.session_max),
        secure=parts().settings.secure_cookies,
        httponly=True,
        # Not strict, also for forms: a page that is opened from a mail program would not see the cookie, and get a new
        # one that makes the fields of all other open pages worthless.
        samesite="Lax",
    )


def remove(response: Response, cookie: Cookie) -> None:
    response.delete_cookie(name(cookie), secure=parts().settings.secure_cookies, httponly=True, samesite="Lax")


def name(cookie: Cookie) -> str:
    """The name by which browsers know it."""
    # The prefix keeps other hosts of the domain, and plain http, from planting a cookie of this name.
    return f"__Host-{cookie}" if parts().settings.secure_cookies else cookie.value
