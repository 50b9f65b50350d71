"""Mailgun: one event a request. What it signs is a time stamp and a token, not the event, so a token counts once."""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Any

from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.delivery.providers import calls
from newsletter_svc.delivery.providers.calls import Call, Said, Told, Unsigned

GOOD_FOR_SECONDS = 300
PERMANENT = "permanent"
KNOWN_TO_BOUNCE = "suppress-bounce"
"""Mailgun did not even try: the address had bounced before."""


def read(call: Call, secret: str, *, now: datetime) -> Told:
    """The event in a request; `secret` is the signing key. Raises Unsigned, Unreadable."""
    told = calls.fields(call.json())
    token = _checked_token(calls.fields(told.get("signature")), secret, now=now)
    said = _said(calls.fields(told.get("event-data")))
    return calls.told_of([said] if said else [], Source.MAILGUN, now=now, once=token)


def _checked_token(signature: Any, secret: str, *, now: datetime) -> str:
    timestamp, token = calls.text(signature.get("timestamp")), calls.text(signature.get("token"))
    expected = hmac.new(secret.encode(), f"{timestamp}{token}".encode(errors="replace"), sha256).hexdigest()
    given = calls.text(signature.get("signature")).encode(errors="replace")
    if not token or not hmac.compare_digest(given, expected.encode()):
        raise Unsigned("signature")
    if not timestamp.isdecimal() or abs(now.timestamp() - int(timestamp)) > GOOD_FOR_SECONDS:
        raise Unsigned("time stamp")
    return token


def _said(told: Any) -> Said | None:
    what, status = told.get("event"), calls.fields(told.get("delivery-status"))
    if what == "complained":
        kind = BounceKind.COMPLAINT
    elif what == "failed" and told.get("severity") == PERMANENT:
        kind = BounceKind.HARD if told.get("reason") == KNOWN_TO_BOUNCE else BounceKind.SOFT
    else:
        calls.ignored(Source.MAILGUN, what)  # A temporary failure too: Mailgun goes on trying.
        return None
    headers = calls.fields(calls.fields(told.get("message")).get("headers"))
    number, at = calls.text(told.get("id")), calls.moment(told.get("timestamp"))
    day = f"{at:%Y-%m-%d}" if at else ""
    return Said(
        # Its ids are unique within a day.
        id=f"{day}:{number}" if number else "",
        message=calls.text(headers.get("message-id")),
        email=calls.text(told.get("recipient")),
        kind=kind,
        words=f"{calls.text(status.get('enhanced-code'))} {calls.text(status.get('message'))}",
        at=at,
    )
