"""Postmark: one event a request, proved by the name and the password of HTTP's basic authentication."""

import hmac
from base64 import b64encode
from datetime import datetime

from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.delivery.providers import calls
from newsletter_svc.delivery.providers.calls import Call, Said, Told, Unsigned

KINDS = {
    "HardBounce": BounceKind.HARD,
    "BadEmailAddress": BounceKind.HARD,
    "SoftBounce": BounceKind.SOFT,
    "Transient": BounceKind.SOFT,
    "DnsError": BounceKind.SOFT,
    "SpamComplaint": BounceKind.COMPLAINT,
}
"""Its other types speak of us (Blocked, DMARCPolicy), or of nothing that lasts (AutoResponder)."""
RECORDS = frozenset({"Bounce", "SpamComplaint"})


def read(call: Call, secret: str, *, now: datetime) -> Told:
    """The events in a request; `secret` is `name:password`. Raises Unsigned, Unreadable."""
    expected = f"Basic {b64encode(secret.encode()).decode()}"
    if not hmac.compare_digest(call.header("Authorization").encode(), expected.encode()):
        raise Unsigned("basic authentication")
    told = calls.fields(call.json())
    if told.get("RecordType") not in RECORDS:
        calls.ignored(Source.POSTMARK, told.get("RecordType"))
        return Told()
    kind = KINDS.get(calls.text(told.get("Type")))
    if kind is None:
        calls.ignored(Source.POSTMARK, told.get("Type"))
        return Told()
    said = Said(
        id=calls.text(told.get("ID")),
        message=calls.text(told.get("MessageID")),
        email=calls.text(told.get("Email")),
        kind=kind,
        words=calls.text(told.get("Details")),
        at=calls.moment(told.get("BouncedAt")),
    )
    return calls.told_of([said], Source.POSTMARK, now=now)
