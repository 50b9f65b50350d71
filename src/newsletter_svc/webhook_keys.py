"""The keys with which mail providers prove that a webhook is theirs, and what can be wrong with them."""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_TOPIC = re.compile(r"arn:aws(-cn)?:sns:([a-z0-9-]{3,}):\d{12}:[A-Za-z0-9_.-]{1,256}")


@lru_cache
def sendgrid(key: str) -> "EllipticCurvePublicKey":
    """The public key that SendGrid shows as base64. Raises ValueError."""
    # Every command reads the settings; `cryptography` is imported where one of them holds a key.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = load_der_public_key(b64decode(key, validate=True))
    except (binascii.Error, UnsupportedAlgorithm) as error:
        raise ValueError("no public key") from error
    if not isinstance(found, EllipticCurvePublicKey):
        raise ValueError("no key for ECDSA")
    return found


def region_of(topic: str) -> tuple[str, str] | None:
    """`("eu-west-1", "")` of `arn:aws:sns:eu-west-1:123456789012:bounces`; the second is `.cn` in China."""
    found = _TOPIC.fullmatch(topic)
    return (found[2], ".cn" if found[1] else "") if found else None


def problems(*, postmark_auth: str | None, sendgrid_key: str | None, ses_topics: Sequence[str]) -> Iterator[str]:
    """What is wrong with the settings of webhooks, as sentences that show no secret."""
    if postmark_auth is not None:
        name, colon, password = postmark_auth.partition(":")
        if not (name and colon and password and postmark_auth.isascii()):
            yield "POSTMARK_WEBHOOK_AUTH must be name:password, as in the address that Postmark calls."
    if sendgrid_key is not None:
        try:
            sendgrid(sendgrid_key)
        except ValueError:
            yield "SENDGRID_WEBHOOK_KEY must be the verification key that SendGrid shows: a public key in base64."
    for topic in ses_topics:
        if region_of(topic) is None:
            yield f"SES_TOPICS: {topic!r} is no topic such as arn:aws:sns:eu-west-1:123456789012:bounces."
