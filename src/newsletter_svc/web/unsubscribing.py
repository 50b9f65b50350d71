"""Leaving a newsletter: the page behind the visible link, and the one-click of mail programs (RFC 8058)."""

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy.orm import Session

from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import addresses, subscriptions
from newsletter_svc.subscribers.consents import Origin
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Way
from newsletter_svc.tokens import BadToken, Purpose
from newsletter_svc.web import peers
from newsletter_svc.web.state import parts

unsubscribing = Blueprint("unsubscribing", __name__, url_prefix="/unsubscribe")


@unsubscribing.get("/<token>")
def look(token: str) -> Response:
    """A page with a button; looking changes nothing."""
    with parts().database.reading() as session:
        subscriber, newsletter = _read(session, token)
        page = {
            "newsletter": newsletter.title,
            "masked_address": addresses.mask(subscriber.email),
            "preferences_url": parts().links.preferences(subscriber.id),
        }
    return make_response(render_template("pages/unsubscribe.html", **page, action=request.path))


@unsubscribing.post("/<token>")
def leave(token: str) -> Response:
    """Leave at once. No cookie, origin or form field is asked for: mail programs send none (RFC 8058 3.2)."""
    with parts().database.transaction() as session:
        subscriber, newsletter = _read(session, token)
        origin = Origin(Way.UNSUBSCRIBE, peer=peers.hashed())
        subscriptions.leave(session, subscriber.id, newsletter.id, origin=origin, now=utcnow())
        page = {"newsletter": newsletter.title, "preferences_url": parts().links.preferences(subscriber.id)}
    return make_response(render_template("pages/unsubscribed.html", **page))


def _read(session: Session, token: str) -> tuple[Subscriber, Newsletter]:
    match parts().keyring.read(Purpose.UNSUBSCRIBE, token):
        case [int(subscriber_id), int(newsletter_id)]:
            subscriber = session.get(Subscriber, subscriber_id)
            newsletter = session.get(Newsletter, newsletter_id)
            if subscriber is not None and newsletter is not None:
                return subscriber, newsletter
    raise BadToken("nobody and nothing by these ids")
