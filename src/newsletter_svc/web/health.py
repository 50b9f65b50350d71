"""For whoever watches the service: is it alive, and could it serve a request."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from newsletter_svc import migrations
from newsletter_svc.web.state import parts

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """The process answers; nothing else is looked at, or a slow database would get healthy processes restarted."""
    return jsonify({"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """The database answers and has the form that this code expects."""
    with parts().database.reading() as session:
        session.execute(text("SELECT 1"))
        problems = [] if migrations.is_current(session.connection()) else ["database_not_migrated"]
    response = jsonify({"status": "unavailable" if problems else "ok", "problems": problems})
    response.status_code = 503 if problems else 200
    return response
