"""Who is signed in: `GET /session`, and signing out."""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from newsletter_svc.audit import Event
from newsletter_svc.auth import sessions
from newsletter_svc.auth.sessions import SignedIn
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.web import cookies, forgery, trail
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.state import parts
from newsletter_svc.words import ReaderError

browser_sessions = Blueprint("sessions", __name__)


class SignedOut(ReaderError):
    """What is asked for is a reader's own, and nobody is signed in in this browser."""


def signed_in(session: Session) -> SignedIn | None:
    """Who makes this request, if it carries the cookie of a living session."""
    secret = cookies.read(Cookie.SESSION)
    return sessions.find(session, secret, now=utcnow()) if secret else None


@browser_sessions.get("/session")
def show() -> Response:
    """Whether somebody is signed in, and who."""
    with parts().database.reading() as session:
        found = signed_in(session)
        body = {"signed_in": found is not None, "subscriber": _subscriber(session, found) if found else None}
    if found is not None and found.needs_touch:
        with parts().database.transaction() as session:
            sessions.touch(session, found.session_id, lifetimes=parts().lifetimes, now=utcnow())
    return jsonify(body)


@browser_sessions.delete("/session")
def end() -> Response:
    """Sign out here, or with `?everywhere=true` in every browser."""
    forgery.check_own_request()
    response = Response(status=204)
    sign_out(response, everywhere=request.args.get("everywhere") == "true")
    return response


@browser_sessions.get("/sessions")
def list_all() -> Response:
    """Every browser in which this reader is signed in."""
    with parts().database.reading() as session:
        found = reader(session)
        rows = [
            {
                "id": each.id,
                "browser": each.browser,
                "created_at": each.created_at.isoformat(),
                "last_seen_at": each.last_seen_at.isoformat(),
                "current": each.id == found.session_id,
            }
            for each in sessions.living(session, found.subscriber.id, now=utcnow())
        ]
    return jsonify({"sessions": rows})


@browser_sessions.delete("/sessions/<int(max=2147483647):session_id>")
def end_one(session_id: int) -> Response:
    """Sign out one browser, for instance one that was lost."""
    forgery.check_own_request()
    with parts().database.transaction() as session:
        found = reader(session)
        if not sessions.end_one(session, session_id, subscriber_id=found.subscriber.id, now=utcnow()):
            raise NotFound
        _note_end(session, session_id, found, reason="one")
    response = Response(status=204)
    if session_id == found.session_id:
        cookies.remove(response, Cookie.SESSION)
    return response


def reader(session: Session) -> SignedIn:
    """Who makes this request. Raises SignedOut."""
    found = signed_in(session)
    if found is None:
        raise SignedOut("problems.signed_out")
    return found


def sign_out(response: Response, *, everywhere: bool = False) -> None:
    """End the session on the server, so that a copied cookie is worth nothing, and take the cookie away."""
    secret = cookies.read(Cookie.SESSION)
    if secret:
        with parts().database.transaction() as session:
            found = signed_in(session)
            if found is not None and everywhere:
                sessions.end_all(session, found.subscriber.id, now=utcnow())
            sessions.end(session, secret, now=utcnow())
            if found is not None:
                _note_end(session, found.session_id, found, reason="everywhere" if everywhere else "here")
    cookies.remove(response, Cookie.SESSION)


def _note_end(session: Session, session_id: int, found: SignedIn, *, reason: str) -> None:
    subject = f"session:{session_id}"
    trail.note(session, Event.SIGNED_OUT, reason=reason, subscriber_id=found.subscriber.id, subject=subject)


def _subscriber(session: Session, found: SignedIn) -> dict[str, Any]:
    newsletters = subscriptions.confirmed_newsletters(session, found.subscriber.id)
    return {
        "email": found.subscriber.email,
        "name": found.subscriber.name,
        "newsletters": [newsletter.slug for newsletter in newsletters],
    }
