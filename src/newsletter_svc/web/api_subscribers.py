"""Subscribers for operators' programs: list, add, change, erase, and lists in and out."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from sqlalchemy.orm import Session

from newsletter_svc.auth import adding
from newsletter_svc.clock import utcnow
from newsletter_svc.errors import NewsletterError
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import (
    csv_file,
    erasing,
    exporting,
    import_plans,
    importing,
    listing,
    newsletters,
    people,
    subscriptions,
)
from newsletter_svc.subscribers.addresses import BadAddress, parse
from newsletter_svc.subscribers.consents import Origin
from newsletter_svc.subscribers.import_plans import RowOutcome
from newsletter_svc.subscribers.models import Subscriber, SubscriptionStatus, Way
from newsletter_svc.subscribers.spreadsheets import table
from newsletter_svc.web import bodies, list_models, lists, queries
from newsletter_svc.web.bodies import BadFields
from newsletter_svc.web.keys import authorise
from newsletter_svc.web.state import parts

api_subscribers = Blueprint("api_subscribers", __name__, url_prefix="/api")

READ = "subscribers:read"
WRITE = "subscribers:write"
OUTCOMES = tuple(each.value for each in RowOutcome)
FILE_NAME = "subscribers.csv"


class NoConsent(NewsletterError):
    """A newsletter that the reader does not get: only the reader's own word, or a record of it, subscribes."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"This reader does not get {slug!r}. To ask for consent, or to record it, add the reader.")


@api_subscribers.get("/subscribers")
def show_list() -> Response:
    """A page of the subscribers, whatever their standing."""
    authorise(READ)
    limit, after = queries.limit(), queries.after()
    key, status = queries.email_key(), queries.word("status", SubscriptionStatus)
    slug = request.args.get("newsletter")
    with parts().database.reading() as session:
        newsletter_id = newsletters.get(session, slug).id if slug is not None else None
        filters = listing.Filters(email_key=key, newsletter_id=newsletter_id, status=status)
        page = listing.page(session, filters=filters, after=after, limit=limit)
    following = None if page.next is None else str(page.next)
    return jsonify({"subscribers": [_as_json(entry) for entry in page.entries], "next": following})


@api_subscribers.post("/subscribers")
def add() -> tuple[Response, int]:
    """Add a reader; without recorded consent a mail asks for it."""
    origin = _origin(authorise(WRITE))
    wanted = bodies.read(list_models.Adding)
    try:
        address = parse(wanted.email)
    except BadAddress as error:
        raise BadFields([("email", error.saying)]) from error
    service = parts()
    with service.database.transaction() as session:
        slugs = [each.slug for each in newsletters.get_all(session, wanted.newsletters)]
        added = adding.add(
            session,
            address.text,
            name=wanted.name,
            newsletters=" ".join(slugs),
            terms=_terms(service, session, confirmed=wanted.confirmed, origin=origin),
            message_domain=service.message_domain,
            lifetimes=service.lifetimes,
        )
        session.expire_all()
        subscriber = people.find(session, address) or abort(404)
        entry = _as_json(listing.entry(session, subscriber))
    service.wake()
    answer = jsonify({"outcome": added.outcome, "asked": added.must_confirm, "subscriber": entry})
    return answer, 201 if added.outcome is RowOutcome.ADDED else 200


@api_subscribers.get("/subscribers/<subscriber_id>")
def show(subscriber_id: str) -> Response:
    """One subscriber."""
    authorise(READ)
    with parts().database.reading() as session:
        return jsonify(_as_json(listing.entry(session, _subscriber(session, subscriber_id))))


@api_subscribers.patch("/subscribers/<subscriber_id>")
def change(subscriber_id: str) -> Response:
    """Change the name, or take newsletters away, at once."""
    origin = _origin(authorise(WRITE))
    changes = bodies.read(list_models.SubscriberChanges)
    with parts().database.transaction() as session:
        subscriber = _subscriber(session, subscriber_id)
        if changes.name is not None:
            subscriber.name = changes.name
        if changes.newsletters is not None:
            _keep_only(session, subscriber, changes.newsletters, origin=origin)
        session.flush()
        return jsonify(_as_json(listing.entry(session, subscriber)))


@api_subscribers.delete("/subscribers/<subscriber_id>")
def erase(subscriber_id: str) -> Response:
    """Forget a subscriber for good."""
    authorise(WRITE)
    service = parts()
    with service.database.transaction() as session:
        found = _subscriber(session, subscriber_id)
        erasing.erase(session, found.id, by=erasing.By.OPERATOR, keyring=service.keyring, now=utcnow())
    return Response(status=204)


@api_subscribers.post("/subscribers.csv")
def take_list() -> Response:
    """Take a list in; the answer streams what becomes of it."""
    origin = _origin(authorise(WRITE))
    service = parts()
    confirmed, dry_run = queries.flag("confirmed"), queries.flag("dry_run")
    with service.database.reading() as session:
        terms = _terms(service, session, confirmed=confirmed, origin=origin)
    file = lists.receive(service.settings, columns=csv_file.COLUMNS)
    batches = importing.batches(service.database, file, terms=terms, dry_run=dry_run)
    return lists.report(batches, file, facts={"confirmed": confirmed, "dry_run": dry_run}, outcomes=OUTCOMES)


@api_subscribers.get("/subscribers.csv")
def hand_out_list() -> Response:
    """Who gets a newsletter, in the form that an import takes."""
    authorise(READ)
    service, slug = parts(), request.args.get("newsletter")
    with service.database.reading() as session:
        newsletter_id = newsletters.get(session, slug).id if slug is not None else None
    return lists.send(_exported(service, newsletter_id), name=FILE_NAME)


def _exported(service: Parts, newsletter_id: int | None) -> Iterator[str]:
    with service.database.reading() as session:
        yield from table(csv_file.COLUMNS, exporting.readers(session, newsletter_id=newsletter_id))


def _origin(key_id: int) -> Origin:
    """How a consent that is recorded here came to us."""
    return Origin(Way.API, source=f"key:{key_id}")


def _terms(service: Parts, session: Session, *, confirmed: bool, origin: Origin) -> import_plans.Terms:
    return import_plans.terms(session, confirmed=confirmed, keyring=service.keyring, origin=origin, now=utcnow())


def _subscriber(session: Session, subscriber_id: str) -> Subscriber:
    return listing.find(session, subscriber_id) or abort(404)


def _keep_only(session: Session, subscriber: Subscriber, slugs: list[str], *, origin: Origin) -> None:
    kept = {each.id: each.slug for each in (newsletters.get(session, slug) for slug in slugs)}
    current = subscriptions.confirmed_ids(session, subscriber.id)
    for newsletter_id in kept.keys() - current:
        raise NoConsent(kept[newsletter_id])
    for newsletter_id in sorted(current - kept.keys()):
        subscriptions.leave(session, subscriber.id, newsletter_id, origin=origin, now=utcnow())


def _as_json(entry: listing.Entry) -> dict[str, Any]:
    values = asdict(entry)
    values["subscriptions"] = [each._asdict() for each in entry.subscriptions]
    return list_models.Subscriber.model_validate(values).model_dump(mode="json")
