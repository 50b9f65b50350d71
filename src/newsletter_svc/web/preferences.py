"""The page behind the link in every issue: what to get and how often, without signing in."""

from datetime import datetime, time
from enum import StrEnum

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from newsletter_svc.auth.asking import Request
from newsletter_svc.auth.models import Door
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import BadToken, Purpose
from newsletter_svc.web import answers, bodies, browsers, choosing, doors, forgery, peers, selects
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.state import parts

preferences = Blueprint("preferences", __name__, url_prefix="/preferences")


PAUSES = (1, 2, 3, 4, 6, 8, 12, 26)
"""Weeks that the page offers."""


class Done(StrEnum):
    """What the page says after a press."""

    SAVED = "saved"
    ASKED = "asked"
    PAUSED = "paused"
    RESUMED = "resumed"
    LEFT = "left"


@preferences.get("/<token>")
def look(token: str) -> Response:
    """What is chosen now; looking changes nothing."""
    now = utcnow()
    with parts().database.reading() as session:
        shown = _shown(session, _reader(session, token), asked=[], now=now)
    if wants_json():
        return jsonify(shown.model_dump(mode="json"))
    return make_response(_page(token, shown))


@preferences.post("/<token>")
def change(token: str) -> Response:
    """Leave and choose at once. What the reader wants to get in addition is asked for by mail, as at `/subscribe`.

    This link lives for years and goes along when an issue is forwarded, so it may stand for less mail, never for more.
    """
    service, now = parts(), utcnow()
    with service.database.reading() as session:
        _reader(session, token)
    forgery.check_field_of(token)
    wanted = bodies.read(bodies.Choices)
    with service.database.transaction() as session:
        subscriber = _reader(session, token)
        to_ask: list[str] = []
        if wanted.newsletters is not None:
            to_ask = choosing.leave_all_but(session, subscriber.id, wanted.newsletters, now=now)
        choosing.apply(session, subscriber.id, wanted, now=now)
        session.flush()
        shown = _shown(session, subscriber, asked=to_ask, now=now)
        email = subscriber.email
    # After the commit: whatever the limits say of one more mail, nobody goes on getting what they have left.
    if to_ask:
        _ask(email, to_ask)
    if wants_json():
        return jsonify(shown.model_dump(mode="json"))
    return redirect(url_for("preferences.look", token=token, done=_done(wanted, to_ask)), 303)


def _reader(session: Session, token: str) -> Subscriber:
    match parts().keyring.read(Purpose.PREFERENCES, token):
        case [int(subscriber_id)]:
            subscriber = session.get(Subscriber, subscriber_id)
            if subscriber is not None:
                return subscriber
    raise BadToken("nobody by this id")


def _ask(email: str, slugs: list[str]) -> None:
    """Owe the mail that asks to confirm. Raises OverLimit."""
    doors.count_and_owe(
        Request(
            door=Door.SUBSCRIBE,
            address=addresses.parse(email),
            newsletters=slugs,
            asked_from=browsers.label(request.user_agent.string),
            peer=peers.hashed(),
        )
    )


def _shown(session: Session, subscriber: Subscriber, *, asked: list[str], now: datetime) -> answers.Preferences:
    chosen = choosing.chosen(session, subscriber, now=now)
    return answers.Preferences(**dict(chosen), address=addresses.mask(subscriber.email), asked=asked)


def _page(token: str, shown: answers.Preferences) -> str:
    localised = parts().composer.localised
    paused = [each.paused_until for each in shown.choices if each.paused_until is not None]
    done = request.args.get("done", "")
    return render_template(
        "pages/preferences.html",
        shown=shown,
        done=done if done in list(Done) else None,
        paused_until=localised.long_date(max(paused)) if paused else None,
        hours=[(hour, localised.time(time(hour))) for hour in range(24)],
        pauses=[(weeks, localised.weeks(weeks)) for weeks in PAUSES],
        zones=selects.zones(shown.timezone),
        languages=selects.languages(shown.language, own=parts().settings.language),
        action=url_for("preferences.change", token=token),
        csrf=forgery.field_of(token),
    )


def _done(wanted: bodies.Choices, asked: list[str]) -> Done:
    if asked:
        return Done.ASKED
    if wanted.newsletters == []:
        return Done.LEFT
    if wanted.pause_weeks is not None:
        return Done.PAUSED if wanted.pause_weeks else Done.RESUMED
    return Done.SAVED
