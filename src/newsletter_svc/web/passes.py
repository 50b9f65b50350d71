"""Passes for other services: a JWT for who is signed in, and the keys to check it with."""

from flask import Blueprint, Response, jsonify

from newsletter_svc.auth.passes import LIFETIME
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.web import forgery
from newsletter_svc.web.sessions import reader
from newsletter_svc.web.state import parts

KEY_SET_SECONDS = 300

passes = Blueprint("passes", __name__)


@passes.post("/session/token")
def issue() -> Response:
    """A short-lived pass for the reader who is signed in. Raises ForgedRequest, SignedOut."""
    forgery.check_own_request()
    service = parts()
    with service.database.reading() as session:
        found = reader(session)
        newsletters = subscriptions.confirmed_newsletters(session, found.subscriber.id)
        slugs = [newsletter.slug for newsletter in newsletters]
        token = service.passes.issue(found.subscriber, newsletters=slugs, now=utcnow())
    return jsonify({"token": token, "expires_in": int(LIFETIME.total_seconds())})


@passes.get("/.well-known/jwks.json")
def keys() -> Response:
    """The public keys, for whoever checks a pass (RFC 7517)."""
    response = jsonify(parts().passes.public_keys())
    response.headers["Cache-Control"] = f"public, max-age={KEY_SET_SECONDS}"
    return response
