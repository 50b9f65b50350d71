"""Whether an event comes from Stripe, and lately: the header `Stripe-Signature`."""

import hmac
from datetime import datetime, timedelta

from newsletter_svc.billing.failures import BadEvent

TOLERANCE = timedelta(seconds=300)
"""Both ways: a moment in the future would make a copied event good for as long."""
SCHEME = "v1"
_LONGEST = 2_000
_DIGITS = 15


def check(payload: bytes, header: str | None, secret: str, *, now: datetime) -> None:
    """Raises BadEvent unless one of the signatures is ours and the time is near.

    There are several while a secret is being changed: `t=1795510800,v1=5257a8…,v1=8c0e…`.
    """
    pairs = [pair.partition("=") for pair in (header or "")[:_LONGEST].split(",")]
    times = [value for name, _, value in pairs if name.strip() == "t"]
    given = [value.strip() for name, _, value in pairs if name.strip() == SCHEME]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal() and len(times[0]) <= _DIGITS):
        raise BadEvent("no_time")
    expected = sign(payload, secret, at=times[0])
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in given):
        raise BadEvent("bad_signature")
    if abs(int(times[0]) - now.timestamp()) > TOLERANCE.total_seconds():
        raise BadEvent("bad_time")


def sign(payload: bytes, secret: str, *, at: str) -> str:
    """The signature of the bytes as they came, at this moment (seconds since 1970)."""
    return hmac.digest(secret.encode(), at.encode() + b"." + payload, "sha256").hex()
