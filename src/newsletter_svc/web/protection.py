"""Headers that every answer carries, and the address books of browsers: content policy, CORS, caching."""

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.exceptions import BadRequest

from newsletter_svc.settings import Settings
from newsletter_svc.web import forgery

PREFLIGHT_SECONDS = 600


def install(app: Flask, settings: Settings) -> None:
    """Protect every answer. A view's own header is kept."""
    CORS(
        app,
        origins=list(settings.frontend_origins),
        supports_credentials=True,
        allow_headers=["Content-Type", "Accept"],
        expose_headers=["Retry-After"],
        methods=["GET", "POST", "PATCH", "DELETE"],
        max_age=PREFLIGHT_SECONDS,
    )
    headers = {
        "Content-Security-Policy": content_policy(settings),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.secure_cookies:
        headers["Strict-Transport-Security"] = "max-age=31536000"

    # The router would send `//session` to `/session` on whatever host the request names.
    app.url_map.merge_slashes = False
    app.before_request(refuse_impossible_query)

    by_key = {name.lower(): (name, value) for name, value in headers.items()}

    @app.after_request
    def protect(response: Response) -> Response:
        # In one look at what is there: to ask for each by itself reads all of them each time.
        present = {name.lower() for name, _ in response.headers}
        response.headers.extend([header for key, header in by_key.items() if key not in present])
        return forgery.remember(response)


def refuse_impossible_query() -> None:
    """Raises BadRequest for a query that no address has, over which whoever looks at it would stumble."""
    try:
        is_text = request.query_string.decode().isprintable()
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        raise BadRequest


def content_policy(
    settings: Settings, *, pictures: str = "'self'", connections: str = "'none'", payments: str | None = None
) -> str:
    """Nothing inline, and nothing from elsewhere but what a page says it needs.

    Chromium holds `form-action` against the redirect after a POST too, and that goes to the frontend, or (`payments`)
    to the page where a card is entered.
    """
    targets = ("'self'", settings.frontend_url, *settings.frontend_origins, *([payments] if payments else []))
    form_targets = " ".join(dict.fromkeys(targets))
    return (
        f"default-src 'none'; style-src 'self'; script-src 'self'; connect-src {connections}; img-src {pictures}; "
        f"form-action {form_targets}; frame-ancestors 'none'; base-uri 'none'"
    )
