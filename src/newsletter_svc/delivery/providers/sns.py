"""Amazon's notifications (SNS), in which SES tells: whether one is signed by Amazon, for a topic of ours."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from newsletter_svc import webhook_keys
from newsletter_svc.delivery.providers import calls
from newsletter_svc.delivery.providers.calls import Call, Unsigned

Fetch = Callable[[str], bytes]

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
_CERTIFICATE = re.compile(r"https://(sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?)/[A-Za-z0-9._/-]+\.pem")
_HASHES = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - Topics that were not changed sign with version 1.
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def checked(call: Call, topics: str, *, fetch: Fetch, now: datetime) -> Mapping[str, Any]:
    """The notification in a request. Raises Unsigned, Unreadable and whatever `fetch` does.

    `topics` are ours, comma-separated. They are asked for first: nothing is fetched for who does not know one.
    """
    told = calls.fields(call.json())
    topic = calls.text(told.get("TopicArn"))
    if topic not in topics.split(","):
        raise Unsigned("topic")
    found = _CERTIFICATE.fullmatch(calls.text(told.get("SigningCertURL")))
    if found is None or found[1] != _host(topic):
        raise Unsigned("the address of the certificate")
    key = _key(_certificate(found[0], fetch), now=now)
    digest, names = _HASHES.get(calls.text(told.get("SignatureVersion"))), _SIGNED.get(calls.text(told.get("Type")))
    if digest is None or names is None:
        raise Unsigned("type or version")
    try:
        signature = b64decode(calls.text(told.get("Signature")), validate=True)
        key.verify(signature, _signed(told, names), PKCS1v15(), digest)
    except (InvalidSignature, binascii.Error, ValueError):
        raise Unsigned("signature") from None
    return told


def confirm(told: Mapping[str, Any], *, fetch: Fetch) -> None:
    """Say yes to a subscription that was checked, at an address made here: one that is sent could lead anywhere."""
    topic = calls.text(told.get("TopicArn"))
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": topic, "Token": calls.text(told.get("Token"))})
    fetch(f"https://{_host(topic)}/?{query}")


def _host(topic: str) -> str:
    region = webhook_keys.region_of(topic)
    if region is None:
        raise Unsigned("topic")
    return "sns.{}.amazonaws.com{}".format(*region)


@lru_cache(maxsize=8)
def _certificate(url: str, fetch: Fetch) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(fetch(url))
    except ValueError:
        raise Unsigned("certificate") from None


def _key(certificate: x509.Certificate, *, now: datetime) -> RSAPublicKey:
    key = certificate.public_key()
    is_good = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    if not is_good or not isinstance(key, RSAPublicKey):
        raise Unsigned("certificate")
    return key


def _signed(told: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    """What the signature covers; `Subject` only where there is one."""
    lines = [f"{name}\n{calls.text(told[name])}\n" for name in names if told.get(name) is not None]
    return "".join(lines).encode(errors="replace")
