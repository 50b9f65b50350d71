"""Suppressions for operators' programs: list, add, change, lift, and lists in and out."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify
from sqlalchemy.orm import Session

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Suppression
from newsletter_svc.subscribers import suppression_lists
from newsletter_svc.subscribers.addresses import BadAddress, parse
from newsletter_svc.subscribers.spreadsheets import table
from newsletter_svc.subscribers.suppression_lists import BadSuppression, Outcome
from newsletter_svc.web import bodies, list_models, lists, queries
from newsletter_svc.web.bodies import BadFields
from newsletter_svc.web.keys import authorise
from newsletter_svc.web.state import parts

api_suppressions = Blueprint("api_suppressions", __name__, url_prefix="/api")

READ = "suppressions:read"
WRITE = "suppressions:write"
OUTCOMES = tuple(each.value for each in Outcome)
FILE_NAME = "suppressions.csv"


@api_suppressions.get("/suppressions")
def show_list() -> Response:
    """A page of the addresses that are not written to."""
    authorise(READ)
    limit, after, key = queries.limit(), queries.after(), queries.email_key()
    with parts().database.reading() as session:
        if key is not None:
            only = suppressions.find(session, key)
            found = [only] if only is not None and only.id > after else []
        else:
            found = list(suppressions.listed(session, after=after, limit=limit + 1))
    following = str(found[limit - 1].id) if len(found) > limit else None
    return jsonify({"suppressions": [_as_json(each) for each in found[:limit]], "next": following})


@api_suppressions.post("/suppressions")
def add() -> tuple[Response, int]:
    """Write to an address no more; where that is so already, the first reason stays and the wider scope."""
    authorise(WRITE)
    body = bodies.read(list_models.Suppressing)
    try:
        parse(body.email)
        wanted = suppression_lists.wanted(body.email, body.reason, body.scope)
    except BadAddress as error:
        raise BadFields([("email", error.saying)]) from error
    except BadSuppression as error:
        raise BadFields([(_field(body), f"{error}.")]) from error
    with parts().database.transaction() as session:
        is_new = suppressions.add(session, wanted.email_key, reason=wanted.reason, scope=wanted.scope, now=utcnow())
        session.expire_all()
        found = suppressions.find(session, wanted.email_key) or abort(404)
        return jsonify(_as_json(found)), 201 if is_new else 200


@api_suppressions.patch("/suppressions/<int:suppression_id>")
def change(suppression_id: int) -> Response:
    """Stop more, or less."""
    authorise(WRITE)
    wanted = bodies.read(list_models.ScopeChange)
    with parts().database.transaction() as session:
        found = _suppression(session, suppression_id)
        found.scope = wanted.scope
        return jsonify(_as_json(found))


@api_suppressions.delete("/suppressions/<int:suppression_id>")
def lift(suppression_id: int) -> Response:
    """Write to an address again, and forget how often it bounced."""
    authorise(WRITE)
    with parts().database.transaction() as session:
        suppressions.lift(session, _suppression(session, suppression_id).email_key)
    return Response(status=204)


@api_suppressions.post("/suppressions.csv")
def take_list() -> Response:
    """Take a list in; the answer streams what becomes of it."""
    authorise(WRITE)
    service, dry_run = parts(), queries.flag("dry_run")
    file = lists.receive(service.settings, columns=suppression_lists.COLUMNS)
    batches = suppression_lists.batches(service.database, file, dry_run=dry_run, now=utcnow())
    return lists.report(batches, file, facts={"dry_run": dry_run}, outcomes=OUTCOMES)


@api_suppressions.get("/suppressions.csv")
def hand_out_list() -> Response:
    """Every suppression, in the form that an import takes."""
    authorise(READ)
    rows = suppression_lists.exported(parts().database)
    return lists.send(table(suppression_lists.EXPORTED, rows), name=FILE_NAME)


def _suppression(session: Session, suppression_id: int) -> Suppression:
    found = session.get(Suppression, suppression_id) if suppression_id <= queries.MOST_ID else None
    return found or abort(404)


def _field(body: list_models.Suppressing) -> str:
    """Which of the two words is wrong."""
    try:
        suppression_lists.wanted(body.email, body.reason, "")
    except BadSuppression:
        return "reason"
    return "scope"


def _as_json(found: Suppression) -> dict[str, Any]:
    values = {
        "id": found.id,
        "email": found.email_key,
        "reason": found.reason,
        "scope": found.scope,
        "since": found.created_at,
    }
    return list_models.Suppression.model_validate(values).model_dump(mode="json")
