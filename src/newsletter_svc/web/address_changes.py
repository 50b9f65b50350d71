"""Another address: asking for it, the page behind the link to the new one, and the way back from the old one."""

from flask import Blueprint, Response, jsonify, make_response, render_template, request

from newsletter_svc.auth import address_changes, address_links
from newsletter_svc.auth.address_changes import Wish
from newsletter_svc.auth.address_links import Step
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Lane
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.web import browsers, forgery, messages, peers
from newsletter_svc.web.messages import AddressCode
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.sessions import reader
from newsletter_svc.web.state import parts
from newsletter_svc.words import Saying

changing = Blueprint("address_changes", __name__)


def ask(address: Address) -> Response:
    """Owe the new address its mail and answer always the same, whoever is there. Raises OverLimit, SignedOut."""
    service = parts()
    with service.limits.counting() as session:
        signed_in = reader(session)
        may_send = service.limits.may_send(session, address.key, peer=peers.address(), purpose="address")
        wish = Wish(
            signed_in.subscriber,
            signed_in.session_id,
            address,
            asked_from=browsers.label(request.user_agent.string),
            peer=peers.hashed(),
        )
        address_changes.ask(
            session,
            wish,
            may_send=may_send,
            lifetime=service.lifetimes.sign_in,
            keyring=service.keyring,
            message_domain=service.message_domain,
            now=utcnow(),
        )
    service.wake(Lane.TRANSACTIONAL)
    return _said(AddressCode.ASKED, status=202)


@changing.get("/change-address/<token>")
def look(token: str) -> Response:
    """A page with a button; looking changes nothing, since mail scanners open every link."""
    return _page(token, Step.PROVE)


@changing.post("/change-address/<token>")
def move(token: str) -> Response:
    """Use the link up: the reader is at the new address from now on."""
    _check_origin()
    service = parts()
    with service.database.transaction() as session:
        address_changes.move(
            session,
            token,
            keyring=service.keyring,
            message_domain=service.message_domain,
            peer=peers.hashed(),
            now=utcnow(),
        )
    service.wake(Lane.TRANSACTIONAL)
    return _said(AddressCode.CHANGED)


@changing.get("/undo-address/<token>")
def look_back(token: str) -> Response:
    """The same for the way back."""
    return _page(token, Step.UNDO)


@changing.post("/undo-address/<token>")
def undo(token: str) -> Response:
    """Bring the reader back to the old address, and sign everybody out."""
    _check_origin()
    service = parts()
    with service.database.transaction() as session:
        address_changes.undo(session, token, keyring=service.keyring, peer=peers.hashed(), now=utcnow())
    return _said(AddressCode.RESTORED)


def _check_origin() -> None:
    """Whoever has the link may use it, but a page of somebody else's must not press the button. ForgedRequest."""
    if not forgery.is_not_a_browser():
        forgery.check_own_request()


def _page(token: str, step: Step) -> Response:
    service = parts()
    with service.database.reading() as session:
        change = address_links.find(session, token, step, keyring=service.keyring, now=utcnow())
        facts = {"old_address": addresses.mask(change.old_email), "new_address": addresses.mask(change.new_email)}
    html = render_template(
        "pages/change_address.html", **facts, step=step.value, action=request.path, csrf=forgery.field()
    )
    return make_response(html)


def _said(code: AddressCode, *, status: int = 200) -> Response:
    text = messages.say(Saying(f"address.{code}"))
    if wants_json():
        response = jsonify({"code": code, "message": text})
    else:
        response = make_response(render_template("pages/address_changed.html", sentence=text, code=code.value))
    response.status_code = status
    return response
