"""What stands around every page of the demo site: the bar with the sentence, the date, the reader."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import request, url_for
from sqlalchemy.orm import Session

from newsletter_svc.billing import customers
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.web import forgery, messages, sessions
from newsletter_svc.web.state import parts


@dataclass(frozen=True)
class Reader:
    """Who is signed in, as the pages greet them."""

    email: str
    name: str
    is_subscribed: bool
    can_update_billing: bool

    @property
    def label(self) -> str:
        return self.name or self.email


def frame(session: Session) -> dict[str, Any]:
    """The values that the layout needs."""
    reader = _reader(session)
    notice = messages.for_query(request.args, signed_in=reader is not None)
    return {
        "notice": notice,
        "new_link_url": _new_link_url() if notice is not None and not notice.success else None,
        "now": local(utcnow()),
        "reader": reader,
        "csrf": forgery.field(),
        "archive_url": url_for("issues.past_issues") if parts().settings.archive else None,
    }


def _reader(session: Session) -> Reader | None:
    found = sessions.signed_in(session)
    if found is None:
        return None
    subscriber = found.subscriber
    is_subscribed = bool(subscriptions.confirmed_ids(session, subscriber.id))
    pays = parts().stripe is not None and customers.customer_of(session, subscriber.id) is not None
    return Reader(subscriber.email, subscriber.name, is_subscribed, can_update_billing=pays)


def _new_link_url() -> str | None:
    """The door at which a reader with a dead link asks for a new one; None for a notice about something else."""
    doors = {
        "subscribe": url_for("site.front_page", _anchor="subscribe"),
        "signup": url_for("site.sign_up"),
        "signin": url_for("site.sign_in"),
    }
    return doors.get(request.args.get("action", ""))


def local(moment: datetime) -> datetime:
    """The moment in the publication's time zone."""
    return moment.astimezone(ZoneInfo(parts().settings.timezone))
