"""The door of everything under /api: an API key with the scope that it takes."""

from flask import request

from newsletter_svc.auth import api_keys
from newsletter_svc.clock import utcnow
from newsletter_svc.web import trail


def authorise(scope: str) -> int:
    """Let in who holds a key with this scope, and return the key's number. Raises BadApiKey, MissingScope.

    To be asked first: whoever holds no key learns nothing, and has no body read.
    """
    with trail.key_refusals() as session:
        return api_keys.check(session, request.headers.get("Authorization"), scope, now=utcnow()).id
