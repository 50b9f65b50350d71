"""Events of Stripe: read from a body whose signature is right, and remembered once they have had their effect."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from newsletter_svc.billing import signatures
from newsletter_svc.billing.failures import BadEvent
from newsletter_svc.billing.models import ID_LENGTH, HeardEvent
from newsletter_svc.db import delete_where, insert_if_absent

KEEP = timedelta(days=30)
"""Stripe sends an event again for three days at most."""
_LONGEST_TYPE = 100


class EventType(StrEnum):
    """The events that mean something to us. All others are heard and have no effect."""

    CHECKOUT_COMPLETED = "checkout.session.completed"
    CARD_SAVED = "setup_intent.succeeded"
    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_UPDATED = "customer.updated"


@dataclass(frozen=True)
class StripeEvent:
    """What happened to which object. Its state is asked for anew: events come late, twice and in any order."""

    id: str
    type: str
    object_id: str
    update_key: str | None
    """The press that led to the object, if it came from one."""


UPDATE_KEY = "newsletter_update"
"""In the metadata of the payment page and of the card's set-up: the key of the press."""


def read(payload: bytes, signature: str | None, secret: str, *, now: datetime) -> StripeEvent:
    """The event in these bytes. Raises BadEvent."""
    signatures.check(payload, signature, secret, now=now)
    try:
        body = json.loads(payload)
        subject = body["data"]["object"]
        event = StripeEvent(
            id=_text(body["id"], ID_LENGTH),
            type=_text(body["type"], _LONGEST_TYPE),
            # A few events are about something without an id, such as the balance; none of them concerns us.
            object_id=_text(subject["id"], ID_LENGTH) if "id" in subject else "",
            update_key=_key(subject.get("metadata")),
        )
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise BadEvent("not_an_event") from None
    return event


def is_heard(session: Session, event: StripeEvent) -> bool:
    return session.get(HeardEvent, event.id) is not None


def remember(session: Session, event: StripeEvent, *, now: datetime) -> None:
    """It has had its effect; from now on it is heard without any."""
    values = {"id": event.id, "type": event.type, "heard_at": now}
    insert_if_absent(session, HeardEvent, values, unique=["id"])


def purge(session: Session, *, now: datetime) -> int:
    """Forget the events of long ago; how many."""
    return delete_where(session, HeardEvent, HeardEvent.heard_at < now - KEEP)


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError("not an id of Stripe's")
    return value


def _key(metadata: Any) -> str | None:
    key = metadata.get(UPDATE_KEY) if isinstance(metadata, dict) else None
    return key if isinstance(key, str) and key.isalnum() else None
