"""Who asks for JSON and who for a page."""

from flask import request
from werkzeug.exceptions import BadHost

JSON_DOORS = (
    "/api/",
    "/session",
    "/me/export",
    "/messages",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/.well-known/",
    "/webhooks/",
)
"""Where a page is no answer, whatever a browser's script says that it accepts."""


def wants_json() -> bool:
    """Whether the caller sent JSON, or would rather have JSON than HTML, or calls a door that knows nothing else."""
    if request.is_json or request.path == "/me" or request.path.startswith(JSON_DOORS):
        return True
    if isinstance(request.routing_exception, BadHost):
        return True  # No router fits a Host that cannot be, and pages have links.
    accepted = request.accept_mimetypes
    return max(accepted["application/json"], accepted["application/problem+json"]) > accepted["text/html"]
