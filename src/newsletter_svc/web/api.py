"""What operators' programs call, with an API key."""

from dataclasses import asdict

from flask import Blueprint, Response, abort, jsonify, make_response, request

from newsletter_svc.clock import utcnow
from newsletter_svc.digests import preview, proofs, runs
from newsletter_svc.digests.letter import Issue
from newsletter_svc.digests.preview import Format
from newsletter_svc.digests.runs import Outcome
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web import bodies, mail_pages
from newsletter_svc.web.keys import authorise
from newsletter_svc.web.state import parts

api = Blueprint("api", __name__, url_prefix="/api")

NEXT = "next"
"""In the place of a number: the issue that would be made now."""
_LONGEST_NUMBER = 9
_FORMS = {
    "html": (Format.HTML, "text/html"),
    "txt": (Format.TEXT, "text/plain"),
    "eml": (Format.EML, "message/rfc822"),
}


@api.post("/digests/run-due")
def run_due() -> Response:
    """Make every issue that is due: cron over HTTP. Calling it twice does nothing twice."""
    service, now = parts(), utcnow()
    authorise("digests:send")
    results = runs.run_due(service.database, press=service.press, now=now)
    service.wake()
    response = jsonify({"runs": [asdict(run) for run in results]})
    if any(run.outcome is Outcome.FAILED for run in results):
        response.status_code = 500  # Hosted cron watches nothing but the status.
    return response


@api.get("/digests/<number>/preview.<form>")
def show(number: str, form: str) -> Response:
    """An issue as a reader would get it, as one of its parts or whole."""
    authorise("digests:read")
    wanted, kind = _FORMS.get(form) or abort(404)
    response = make_response(preview.show(_issue(number), wanted, press=parts().press, now=utcnow()))
    response.content_type = kind if wanted is Format.EML else f"{kind}; charset=utf-8"
    response.headers["Content-Security-Policy"] = mail_pages.policy(parts().settings)
    return response


@api.post("/digests/<number>/test")
def send_test(number: str) -> Response:
    """Send copies of an issue, marked as a test, to the addresses in the body."""
    authorise("digests:test")
    addresses = bodies.read(bodies.Testing).checked
    service = parts()
    sender = service.settings.bounce_address or service.settings.mail_default_sender
    sent = proofs.send(
        _issue(number), addresses, press=service.press, transport=service.mail, sender=sender, now=utcnow()
    )
    return jsonify({"copies": [asdict(proof) for proof in sent]})


def _issue(number: str) -> Issue:
    """The issue that a path names. Raises UnknownDigest and UnknownNewsletter."""
    is_number = number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER
    if not is_number and number != NEXT:
        abort(404)
    service = parts()
    with service.database.reading() as session:
        newsletter = newsletters.get(session, request.args.get("newsletter") or newsletters.DEFAULT_SLUG)
        found = preview.chosen(
            session,
            newsletter,
            int(number) if is_number else None,
            tz=service.settings.timezone,
            press=service.press,
            now=utcnow(),
        )
    return found if found is not None else abort(404)
