"""The doors of the site: `POST /subscribe`, `/signup` and `/signin`, and the one-time code."""

from flask import Blueprint, jsonify, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from newsletter_svc.auth import asking, redeeming, sessions
from newsletter_svc.auth.models import Door
from newsletter_svc.clock import utcnow
from newsletter_svc.web import bodies, browsers, cookies, forgery, messages, redirects
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.messages import Code
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.state import parts

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
    with service.database.transaction() as session:
        link_id = redeeming.count_code_try(session, body.challenge)
    with service.database.transaction() as session:
        redeemed = redeeming.redeem_code(
            session,
            link_id,
            "".join(body.code.split()),
            browser=browsers.label(request.user_agent.string),
            keyring=service.keyring,
            now=now,
        )
    return let_in(redeemed)


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
    asked = asking.Request(
        door=door,
        address=body.address,
        name=body.name or "",
        newsletters=body.newsletters or (),
        redirect=redirects.checked(body.redirect or redirects.FRONT_PAGE, parts().settings),
        asked_from=browsers.label(request.user_agent.string),
    )
    return check_email(asked, is_trap=bool(body.website))


def check_email(asked: asking.Request, *, is_trap: bool = False) -> Response:
    """Owe this request its mail (unless a program filled in the trap) and say to look for it."""
    presession = asking.pretend() if is_trap else _owe(asked)
    text = messages.sentence(Code.CHECK_EMAIL)
    if wants_json():
        response = jsonify({"code": Code.CHECK_EMAIL, "message": text, "challenge": presession})
    else:
        response = make_response(render_template("pages/check_email.html", sentence=text, challenge=presession))
    response.status_code = 202
    cookies.put(response, Cookie.PRESESSION, presession)
    return response


def _owe(asked: asking.Request) -> str:
    service = parts()
    with service.database.transaction() as session:
        presession = asking.request_link(
            session, asked, keyring=service.keyring, message_domain=service.message_domain, now=utcnow()
        )
    service.wake()
    return presession
