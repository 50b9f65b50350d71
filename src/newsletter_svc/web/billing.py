"""Payment details: the press that leads to Stripe's page, the way back, and what Stripe tells by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import Blueprint, Response, jsonify, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as WerkzeugResponse

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.billing import events, updates
from newsletter_svc.billing.failures import BadEvent, BillingOff, NoCustomer, NotAtStripe, StripeRefused
from newsletter_svc.billing.gateway import Gateway
from newsletter_svc.billing.models import BillingUpdate
from newsletter_svc.billing.settling import Outcome
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Lane
from newsletter_svc.web import bodies, forgery, messages, redirects, sessions
from newsletter_svc.web.messages import Code
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.sessions import SignedOut
from newsletter_svc.web.state import parts

EVENT_BYTES = 1024 * 1024
CODES = {Outcome.UPDATED: Code.BILLING_UPDATED, Outcome.NOT_UPDATED: Code.BILLING_NOT_UPDATED}

billing = Blueprint("billing", __name__)
log = structlog.get_logger()


@billing.post("/billing/update")
def update() -> WerkzeugResponse:
    """Send a signed-in reader to the page where they enter a new card."""
    service, stripe = parts(), _stripe()
    forgery.check_own_request()
    target = redirects.checked(bodies.read(bodies.BillingPress).redirect or redirects.FRONT_PAGE, service.settings)
    with service.database.transaction() as session:
        reader = sessions.reader(session).subscriber
        begun = updates.begin(session, reader.id, redirect=target, now=utcnow())
    url = _page_for(begun, stripe)
    return jsonify({"url": url}) if wants_json() else redirect(url, 303)


def _page_for(begun: BillingUpdate, stripe: Gateway) -> str:
    """The address of the payment page for this press. Raises NoCustomer."""
    back = parts().links.billing_return(begun.key)
    try:
        with _refusals_reported():
            page = stripe.open_page(begun.key, begun.customer_id, success_url=back, cancel_url=back)
    except NotAtStripe:
        log.warning("stripe_customer_is_gone", billing_update=begun.id)
        raise NoCustomer("problems.customer_gone") from None
    with parts().database.transaction() as session:
        updates.remember_session(session, begun.id, page.session_id)
    return page.url


@billing.get("/billing/return")
def come_back() -> WerkzeugResponse:
    """Say what has become of an update. It is Stripe that is asked, so opening this by hand changes and claims nothing.

    The new card is put to use here too, since the event may come later than the reader, and the sentence must be true.
    """
    stripe = _stripe()
    with parts().database.reading() as session:
        begun = _own_update(session)
    outcome = _settle(begun, stripe) if begun is not None else Outcome.NOT_UPDATED
    return _say(CODES[outcome], begun.redirect if begun is not None else redirects.FRONT_PAGE)


def _own_update(session: Session) -> BillingUpdate | None:
    """The update that the address names, if it is of the reader who opens it. Raises SignedOut."""
    key = request.args.get("update", "")
    begun = updates.find(session, key) if key.isascii() and key.isalnum() else None
    if begun is None:
        return None
    found = sessions.signed_in(session)
    if found is None:
        raise SignedOut("problems.billing_signed_out")
    return begun if found.subscriber.id == begun.subscriber_id else None


def _settle(begun: BillingUpdate, stripe: Gateway) -> Outcome:
    try:
        with _refusals_reported():
            outcome = parts().settler(stripe).settle(begun, session_id=begun.session_id, now=utcnow())
    except NotAtStripe:
        return Outcome.NOT_UPDATED
    parts().wake(Lane.TRANSACTIONAL)
    return outcome


def _say(code: Code, target: str) -> WerkzeugResponse:
    if wants_json():
        return jsonify({"code": code, "message": messages.sentence(code)})
    return redirect(redirects.absolute(target, messages.query(code), parts().settings), 303)


@billing.post("/webhooks/stripe")
def hear() -> Response:
    """Take an event. The answer is 200 only when its effect is committed; after anything else Stripe sends it again."""
    stripe, secret = _stripe(), parts().settings.stripe_webhook_secret
    if secret is None:
        raise BillingOff("STRIPE_WEBHOOK_SECRET")
    request.max_content_length = EVENT_BYTES
    try:
        event = events.read(bodies.whole(), request.headers.get("Stripe-Signature"), secret, now=utcnow())
    except BadEvent as error:
        log.warning("stripe_event_refused", reason=error.private_reason)
        raise
    with _refusals_reported():
        parts().settler(stripe).hear(event, now=utcnow())
    parts().wake(Lane.TRANSACTIONAL)
    return jsonify({"received": True})


def _stripe() -> Gateway:
    """Stripe. Raises BillingOff where its key is not set."""
    stripe = parts().stripe
    if stripe is None:
        raise BillingOff("STRIPE_SECRET_KEY")
    return stripe


@contextmanager
def _refusals_reported() -> Iterator[None]:
    """Tell the operator of what only they can mend."""
    try:
        yield
    except StripeRefused as error:
        with parts().database.transaction() as session:
            alerts.report(session, Cause.STRIPE_REFUSED, detail=str(error), now=utcnow())
        raise
