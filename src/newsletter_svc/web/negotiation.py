"""Who asks for JSON and who for a page."""

from flask import request


def wants_json() -> bool:
    """Whether the caller sent JSON, or would rather have JSON than HTML, or calls a door that knows nothing else."""
    if request.is_json or request.path.startswith("/api/"):
        return True
    accepted = request.accept_mimetypes
    return max(accepted["application/json"], accepted["application/problem+json"]) > accepted["text/html"]
