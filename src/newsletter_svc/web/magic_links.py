"""The pages behind a magic link: looking changes nothing, the button redeems."""

from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from newsletter_svc.auth import asking, consenting, letters, redeeming
from newsletter_svc.auth.models import Door, MagicLink
from newsletter_svc.auth.redeeming import Gone, LinkGone
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.models import Newsletter, Subscriber
from newsletter_svc.web import browsers, cookies, doors, forgery, peers, trail
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.state import parts

magic_links = Blueprint("magic_links", __name__, url_prefix="/magic-link")


@magic_links.get("/<token>")
def look(token: str) -> Response:
    """A page with a button, also for who asks for JSON: mail scanners open every link, and must not use it up."""
    service, now = parts(), utcnow()
    presession = cookies.read(Cookie.PRESESSION)
    with service.database.reading() as session:
        try:
            link = redeeming.look_up(session, token, keyring=service.keyring, now=now)
        except LinkGone as gone:
            if gone.link is None or not redeeming.may_finish(gone.link, presession, now=now):
                return _gone_page(token, gone)
            link = gone.link
        page = _facts(session, link)
    auto_submit = redeeming.asked_here(link, presession)
    action = url_for("magic_links.redeem", token=token)
    html = render_template(
        "pages/magic_link.html", **page, action=action, csrf=forgery.field(), auto_submit=auto_submit
    )
    return make_response(html)


@magic_links.post("/<token>")
def redeem(token: str) -> Response:
    """Use the link up, once."""
    service = parts()
    presession = cookies.read(Cookie.PRESESSION)
    with service.database.reading() as session:
        _check_origin(session, token, presession)
    try:
        with trail.refusals() as session:
            redeemed = redeeming.redeem(
                session,
                token,
                presession=presession,
                browser=browsers.label(request.user_agent.string),
                keyring=service.keyring,
                lifetimes=service.lifetimes,
                now=utcnow(),
            )
            trail.redeemed(session, redeemed)
            doors.greet(session, redeemed)
    except LinkGone as gone:
        if wants_json():
            raise
        return _gone_page(token, gone)
    return doors.let_in(redeemed)


@magic_links.post("/<token>/renew")
def renew(token: str) -> Response:
    """Send a new link to the address of one that was ours."""
    service = parts()
    forgery.check_own_request()
    with service.database.reading() as session:
        asked = _asked_again(session, redeeming.find(session, token, keyring=service.keyring))
    return doors.check_email(asked)


def _check_origin(session: Session, token: str, presession: str | None) -> None:
    """Another site must not sign a reader in as somebody else. Raises ForgedRequest.

    The asking browser is vouched for by its pre-session, and a program that is no browser by being none.
    """
    if forgery.is_not_a_browser():
        return
    try:
        link = redeeming.find(session, token, keyring=parts().keyring)
    except LinkGone:
        link = None
    if link is None or not redeeming.asked_here(link, presession):
        forgery.check_own_request()


def _facts(session: Session, link: MagicLink) -> dict[str, Any]:
    subscriber = session.get_one(Subscriber, link.subscriber_id)
    consent = consenting.wording(session, link, words=parts().composer.consent)
    return {
        "consent": consent.text if consent else None,
        "purpose": _purpose(link, subscriber),
        "masked_address": addresses.mask(subscriber.email),
        "newsletters": letters.newsletter_titles(session, link),
        "asked_from": link.asked_from,
        "asked_at": parts().composer.localised.moment(link.created_at),
    }


def _purpose(link: MagicLink, subscriber: Subscriber) -> Door:
    if link.door == Door.SUBSCRIBE and link.newsletter_ids:
        return Door.SUBSCRIBE
    return Door.SIGN_IN if subscriber.is_known else Door.SIGN_UP


def _gone_page(token: str, gone: LinkGone) -> Response:
    """410 with a button for a new link, where there is somebody to send it to."""
    was_ours = gone.link is not None
    # Who signed out again by a link that lives on for a moment learns that it was used, which is the truth.
    reason = {Gone.EXPIRED: Gone.EXPIRED, Gone.USED: Gone.USED, Gone.SIGNED_OUT: Gone.USED}.get(
        gone.reason, Gone.UNKNOWN
    )
    resend = url_for("magic_links.renew", token=token) if was_ours else None
    html = render_template("pages/link_gone.html", reason=reason, resend_action=resend, csrf=forgery.field())
    response = make_response(html)
    response.status_code = 410
    return response


def _asked_again(session: Session, link: MagicLink) -> asking.Request:
    subscriber = session.get_one(Subscriber, link.subscriber_id)
    slugs = [session.get_one(Newsletter, newsletter_id).slug for newsletter_id in link.newsletter_ids]
    # Who was subscribed already got a link that subscribes to nothing: none named would mean the default newsletter.
    was_sign_in = link.door == Door.SUBSCRIBE and not slugs
    return asking.Request(
        door=Door.SIGN_IN if was_sign_in else link.door,
        address=addresses.parse(subscriber.email),
        name=link.name,
        newsletters=slugs,
        redirect=link.redirect,
        asked_from=browsers.label(request.user_agent.string),
        page=peers.page(),
        peer=peers.hashed(),
    )
