"""The reader's own data over a session: see, change, take along, erase."""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify
from sqlalchemy.orm import Session

from newsletter_svc.auth import own_data
from newsletter_svc.billing import own_data as own_billing
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import erasing, newsletters, subscriptions
from newsletter_svc.subscribers.consents import Origin
from newsletter_svc.subscribers.models import Subscriber, Way
from newsletter_svc.web import address_changes, answers, bodies, choosing, cookies, forgery, peers
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.sessions import reader
from newsletter_svc.web.state import parts

me = Blueprint("me", __name__)

FILE_NAME = "my-data.json"


@me.get("/me")
def show() -> Response:
    """Who the reader is, and what they get."""
    with parts().database.reading() as session:
        return jsonify(_profile(session, reader(session).subscriber))


@me.patch("/me")
def change() -> Response:
    """Change the name, the newsletters and how they come, the address.

    No mail has to ask again but for the last: who is signed in has proved the address that they have.
    """
    forgery.check_own_request()
    changes = bodies.read(bodies.Changes)
    address = changes.address
    now = utcnow()
    with parts().database.transaction() as session:
        subscriber = reader(session).subscriber
        if changes.name is not None:
            subscriber.name = changes.name
        if changes.newsletters is not None:
            wanted = {newsletters.get(session, slug).id for slug in changes.newsletters}
            origin = Origin(Way.ACCOUNT, peer=peers.hashed())
            subscriptions.choose(session, subscriber.id, wanted, origin=origin, now=now)
        choosing.apply(session, subscriber.id, changes, now=now)
        session.flush()
        profile = jsonify(_profile(session, subscriber))
    return profile if address is None else address_changes.ask(address)


@me.post("/me/email")
def move() -> Response:
    """The same for the address alone, from a form."""
    forgery.check_own_request()
    return address_changes.ask(bodies.read(bodies.NewAddress).address)


@me.delete("/me")
def erase() -> Response:
    """Forget this reader for good, and sign them out everywhere."""
    forgery.check_own_request()
    response = Response(status=204)
    forget(response)
    return response


def forget(response: Response) -> None:
    """Erase who makes this request, and take the cookie away with the answer. Raises SignedOut."""
    service = parts()
    with service.database.transaction() as session:
        subscriber_id = reader(session).subscriber.id
        erasing.erase(session, subscriber_id, by=erasing.By.READER, keyring=service.keyring, now=utcnow())
    cookies.remove(response, Cookie.SESSION)


@me.get("/me/export")
def export() -> Response:
    """Everything on record about this reader, as a file."""
    with parts().database.reading() as session:
        subscriber = reader(session).subscriber
        found = asdict(own_data.collect(session, subscriber))
        found["billing"] = asdict(own_billing.collect(session, subscriber.id))
    response = jsonify(answers.OwnData.model_validate(found).model_dump(mode="json"))
    response.headers.set("Content-Disposition", "attachment", filename=FILE_NAME)
    return response


def _profile(session: Session, subscriber: Subscriber) -> dict[str, object]:
    profile = answers.Profile(
        email=subscriber.email,
        name=subscriber.name,
        created_at=subscriber.created_at,
        **dict(choosing.chosen(session, subscriber, now=utcnow())),
    )
    return profile.model_dump(mode="json")
