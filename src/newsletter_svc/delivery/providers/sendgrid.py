"""SendGrid: many events a request, signed with ECDSA over the time stamp and the body."""

import binascii
from base64 import b64decode
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from newsletter_svc import webhook_keys
from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.delivery.providers import calls
from newsletter_svc.delivery.providers.calls import Call, Said, Told, Unreadable, Unsigned

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
BLOCKED = "blocked"
"""A bounce of this type says that the server mistrusts the sender, whatever its code says."""


def read(call: Call, secret: str, *, now: datetime) -> Told:
    """The events in a request; `secret` is the public key, as SendGrid shows it. Raises Unsigned, Unreadable."""
    _check(call, secret)
    told = call.json()
    if not isinstance(told, list):
        raise Unreadable("the body is no list")
    return calls.told_of(filter(None, map(_said, told)), Source.SENDGRID, now=now)


def _check(call: Call, secret: str) -> None:
    try:
        signature = b64decode(call.header(SIGNATURE), validate=True)
        signed = call.header(TIMESTAMP).encode() + call.body
        webhook_keys.sendgrid(secret).verify(signature, signed, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise Unsigned("signature") from None


def _said(event: object) -> Said | None:
    told = calls.fields(event)
    what = told.get("event")
    if what == "spamreport":
        kind = BounceKind.COMPLAINT
    elif what == "bounce" and told.get("type") != BLOCKED:
        kind = BounceKind.SOFT  # Where it has no code it says nothing of what is wrong.
    else:
        calls.ignored(Source.SENDGRID, what)
        return None
    return Said(
        id=calls.text(told.get("sg_event_id")),
        message=calls.text(told.get("sg_message_id")),
        email=calls.text(told.get("email")),
        kind=kind,
        # The server's own words may have a code of more use than the one that was made of them.
        words=f"{calls.text(told.get('reason'))} {calls.text(told.get('status'))}",
        at=calls.moment(told.get("timestamp")),
    )
