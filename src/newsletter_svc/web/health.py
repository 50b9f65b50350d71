"""For whoever watches the service: is it alive, and could it serve a request."""

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from newsletter_svc import alerts, migrations
from newsletter_svc.clock import utcnow
from newsletter_svc.web.state import parts

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """The process answers; nothing else is looked at, or a slow database would get healthy processes restarted."""
    return jsonify({"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """The database answers and has the form that this code expects. Alerts are named, and make nothing unready."""
    with parts().database.reading() as session:
        session.execute(text("SELECT 1"))
        is_current = migrations.is_current(session.connection())
        found = alerts.current(session, now=utcnow()) if is_current else []
    problems = [] if is_current else ["database_not_migrated"]
    shown = [{"name": each.cause, "since": each.first_at.isoformat(), "count": each.count} for each in found]
    response = jsonify({"status": "unavailable" if problems else "ok", "problems": problems, "alerts": shown})
    response.status_code = 503 if problems else 200
    return response
