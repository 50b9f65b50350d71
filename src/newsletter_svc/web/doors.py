"""The doors of the site: `POST /subscribe`, `/signup` and `/signin`, and the one-time code."""

from flask import Blueprint, jsonify, make_response, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.audit import Event
from newsletter_svc.auth import asking, consenting, redeeming, sessions, welcoming
from newsletter_svc.auth.asking import Withheld
from newsletter_svc.auth.models import Door
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Lane
from newsletter_svc.limits.limiter import PeerOverLimit
from newsletter_svc.subscribers import disposable, newsletters
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.web import bodies, browsers, cookies, forgery, messages, peers, redirects, trail
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.messages import Code
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.state import parts
from newsletter_svc.words import Saying

doors = Blueprint("doors", __name__)


@doors.post("/subscribe")
def subscribe() -> Response:
    return _ask(Door.SUBSCRIBE)


@doors.post("/signup")
def sign_up() -> Response:
    return _ask(Door.SIGN_UP)


@doors.post("/signin")
def sign_in() -> Response:
    return _ask(Door.SIGN_IN)


@doors.post("/signin/code")
def sign_in_by_code() -> Response:
    """Let in who holds the challenge of the asking page and types the code from the mail."""
    body = bodies.read(bodies.OneTimeCode)
    # A form on another site could sign a visitor in as somebody else: only the asking browser, or what no foreign
    # page can send, may use a code.
    if cookies.read(Cookie.PRESESSION) != body.challenge and not forgery.is_not_a_browser():
        forgery.check_own_request()
    service, now = parts(), utcnow()
    with trail.refusals() as session:
        tried = redeeming.count_code_try(session, body.challenge)
    service.limits.count_code(tried.subscriber_id)
    try:
        with trail.refusals() as session:
            redeemed = redeeming.redeem_code(
                session,
                tried.link_id,
                "".join(body.code.split()),
                browser=browsers.label(request.user_agent.string),
                keyring=service.keyring,
                lifetimes=service.lifetimes,
                now=now,
            )
            trail.redeemed(session, redeemed)
            greet(session, redeemed)
    except redeeming.LinkGone as gone:
        if gone.reason is not redeeming.Gone.WRONG_CODE or wants_json():
            raise
        return _code_page(body.challenge, is_wrong=True, status=422)
    service.limits.forgive_code(tried.subscriber_id)
    return let_in(redeemed)


def _code_page(challenge: str, *, is_wrong: bool = False, status: int = 202) -> Response:
    """Look for the mail, or type its code here."""
    text = messages.sentence(Code.CHECK_EMAIL)
    page = render_template("pages/check_email.html", sentence=text, challenge=challenge, is_wrong=is_wrong)
    return make_response(page, status)


def greet(session: Session, redeemed: redeeming.Redeemed) -> None:
    """Put the consent on record, and owe a new reader the mail that says so, where the operator wants one."""
    service, now = parts(), utcnow()
    consenting.record(session, redeemed, words=service.composer.consent, peer=peers.hashed(), now=now)
    if service.settings.welcome_mail:
        welcoming.owe_if_first(session, redeemed, message_domain=service.message_domain, now=now)


def let_in(redeemed: redeeming.Redeemed) -> Response:
    """Tell the browser that it is signed in, and send it back to the frontend."""
    code = Code(redeemed.outcome)
    target = redirects.absolute(redeemed.redirect, messages.query(code), parts().settings)
    if wants_json():
        response: Response = jsonify({"code": code, "message": messages.sentence(code), "redirect": target})
    else:
        response = redirect(target, 303)
    _replace_session(response, redeemed.session_secret)
    return response


def _replace_session(response: Response, secret: str) -> None:
    """The browser gets a new session; the one it had, or that somebody planted, ends."""
    before = cookies.read(Cookie.SESSION)
    if before is not None and before != secret:
        with parts().database.transaction() as session:
            sessions.end(session, before, now=utcnow())
    cookies.put(response, Cookie.SESSION, secret)


def _ask(door: Door) -> Response:
    """Owe the mail that fits and answer always the same, whoever the address belongs to."""
    body = bodies.read(bodies.Asking)
    _check_newsletters(body.newsletters)
    asked = asking.Request(
        door=door,
        address=_lasting(body.address),
        name=body.name or "",
        newsletters=body.newsletters or (),
        redirect=redirects.checked(body.redirect or redirects.FRONT_PAGE, parts().settings),
        asked_from=browsers.label(request.user_agent.string),
        page=peers.page(),
        peer=peers.hashed(),
        presession=cookies.read(Cookie.PRESESSION),
    )
    return check_email(asked, is_trap=bool(body.website))


def _check_newsletters(slugs: list[str] | None) -> None:
    """Before anything is counted: who mistypes a name must not wait a minute for the next try. UnknownNewsletter."""
    if slugs:
        with parts().database.reading() as session:
            newsletters.get_all(session, slugs)


def _lasting(address: Address) -> Address:
    """The address, unless it is one to be thrown away and the operator wants none of those. Raises BadFields."""
    if parts().settings.disposable_domains == "refuse" and disposable.is_disposable(address):
        raise bodies.BadFields([("email", Saying("addresses.disposable"))])
    return address


def check_email(asked: asking.Request, *, is_trap: bool = False) -> Response:
    """Owe this request its mail, as far as the limits allow, and say to look for it. Raises OverLimit."""
    presession = count_and_owe(asked, is_trap=is_trap)
    text = messages.sentence(Code.CHECK_EMAIL)
    if wants_json():
        response: Response = jsonify({"code": Code.CHECK_EMAIL, "message": text, "challenge": presession})
    else:
        response = _code_page(presession)
    response.status_code = 202
    # A form on a foreign page works, but does not make this the asking browser: that page could ask for a link to
    # an account of its own, open it here, and the link's page would sign the visitor in without a press.
    if forgery.is_vouched_for():
        cookies.put(response, Cookie.PRESESSION, presession)
    return response


def count_and_owe(asked: asking.Request, *, is_trap: bool = False) -> str:
    """Count the request and owe its mail in one transaction; the pre-session. Raises OverLimit."""
    service, peer = parts(), peers.address()

    def work(session: Session) -> str:
        if is_trap:
            service.limits.count_trapped(session, peer=peer)
            return _fall_for(session, asked)
        may_send = service.limits.may_send(session, asked.address.key, peer=peer, purpose=asked.door)
        return _request_link(session, asked, withheld=None if may_send else Withheld.LIMIT)

    try:
        presession = service.limits.counted(work)
    except PeerOverLimit:
        if peers.come_through_an_unknown_proxy():
            with service.database.transaction() as session:
                alerts.report(session, Cause.UNTRUSTED_PROXY, now=utcnow())
        raise
    if not is_trap:
        service.wake(Lane.TRANSACTIONAL)
    return presession


def _fall_for(session: Session, asked: asking.Request) -> str:
    """The same work, undone: a program that filled in the trap learns nothing from how long it takes, either."""
    with session.begin_nested() as work:
        presession = _request_link(session, asked, withheld=Withheld.TRAP)
        work.rollback()
    trail.note(session, Event.WITHHELD, reason=Withheld.TRAP)
    return presession


def _request_link(session: Session, asked: asking.Request, *, withheld: Withheld | None) -> str:
    service = parts()
    return asking.request_link(
        session,
        asked,
        keyring=service.keyring,
        message_domain=service.message_domain,
        lifetimes=service.lifetimes,
        now=utcnow(),
        withheld=withheld,
    )
