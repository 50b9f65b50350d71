"""What operators' programs call, with an API key."""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request

from newsletter_svc.auth import api_keys
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import runs
from newsletter_svc.digests.runs import Outcome
from newsletter_svc.web import trail
from newsletter_svc.web.state import parts

api = Blueprint("api", __name__, url_prefix="/api")


@api.post("/digests/run-due")
def run_due() -> Response:
    """Make every issue that is due: cron over HTTP. Calling it twice does nothing twice."""
    service, now = parts(), utcnow()
    _authorise("digests:send")
    results = runs.run_due(service.database, press=service.press, now=now)
    service.wake()
    response = jsonify({"runs": [asdict(run) for run in results]})
    if any(run.outcome is Outcome.FAILED for run in results):
        response.status_code = 500  # Hosted cron watches nothing but the status.
    return response


def _authorise(scope: str) -> None:
    """Let in who holds a key with this scope. Raises BadApiKey, MissingScope."""
    with trail.key_refusals() as session:
        api_keys.check(session, request.headers.get("Authorization"), scope, now=utcnow())
