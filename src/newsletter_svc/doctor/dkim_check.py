"""DKIM: whether the key in the DNS is the one that we sign with, and one that receivers accept."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from newsletter_svc.dkim_keys import UnusableKey, load_key, read_key
from newsletter_svc.doctor import tags
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Answer, Status
from newsletter_svc.doctor.setup import Setup

_SMALLEST_KEY = 1024  # RFC 8301 3.2: receivers ignore smaller ones.
_GOOD_KEY = 2048


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of our signatures. Raises NotAnswered."""
    settings = setup.settings
    domain, selector, key_file = settings.dkim_domain, settings.dkim_selector, settings.dkim_private_key_file
    if domain is None or selector is None or key_file is None:
        yield _unsigned(setup)
        return
    name = f"{selector}._domainkey.{domain}".lower()
    try:
        public_key = _public_key(key_file)
    except UnusableKey as error:
        yield _finding(Verdict.FAILURE, "DKIM_PRIVATE_KEY_FILE", f"{error}.")
        return
    wanted = Record(name, "TXT", f"v=DKIM1; k=rsa; p={base64.b64encode(_der(public_key)).decode()}")
    answer = setup.dns.texts(name)
    if len(answer.values) == 1:
        yield from _judge(name, answer.values[0], public_key, wanted)
    else:
        yield _finding(Verdict.FAILURE, name, _not_one(answer), wanted)


def _unsigned(setup: Setup) -> Finding:
    if setup.settings.mail_server is None:
        return _finding(Verdict.UNCHECKED, "DKIM_DOMAIN", "is not set, and no mail leaves this machine.")
    text = (
        "is not set, so nothing is signed here. Good if the mail server signs with the domain of From: "
        "send yourself a mail and look for dkim=pass in its headers."
    )
    return _finding(Verdict.WARNING, "DKIM_DOMAIN", text)


def _not_one(answer: Answer) -> str:
    if answer.values:
        return f"has {len(answer.values)} records; only one may stand there."
    reason = "does not exist (NXDOMAIN)" if answer.status is Status.NO_NAME else "has no TXT record"
    return f"{reason}: what we sign cannot be verified, and counts as unsigned."


def _judge(name: str, text: str, public_key: RSAPublicKey, wanted: Record) -> Iterator[Finding]:
    found = tags.read(text)
    if found is None or found.get("v", "DKIM1") != "DKIM1" or "p" not in found:
        yield _finding(Verdict.FAILURE, name, "holds something that is no DKIM key.", wanted)
        return
    problem = _problem(found, public_key)
    if problem is not None:
        yield _finding(Verdict.FAILURE, name, problem, wanted)
    else:
        yield _finding(Verdict.GOOD, name, f"holds the key that we sign with (RSA, {public_key.key_size} bits).")
        if public_key.key_size < _GOOD_KEY:
            yield _finding(Verdict.WARNING, name, f"is a short key; {_GOOD_KEY} bits are usual today.")
    if "y" in tags.listed(found.get("t", "")):
        text = "is marked as a test (t=y): receivers may treat signed mail as unsigned."
        yield _finding(Verdict.WARNING, name, text, wanted)


def _problem(found: Mapping[str, str], public_key: RSAPublicKey) -> str | None:
    """Why receivers would not accept our signatures with this record."""
    published = "".join(found["p"].split())
    if not published:
        return "is revoked (p= is empty)."
    if found.get("k", "rsa").lower() != "rsa":
        return f"is a key of another kind ({found['k']}); we sign with RSA."
    if "h" in found and "sha256" not in tags.listed(found["h"]):
        return "does not allow sha256, which we sign with."
    if "s" in found and not {"*", "email"} & set(tags.listed(found["s"])):
        return "is not meant for mail (s=)."
    if not _is_same_key(published, public_key):
        return "holds another key than DKIM_PRIVATE_KEY_FILE: every signature of ours is invalid."
    if public_key.key_size < _SMALLEST_KEY:
        return f"is a key of {public_key.key_size} bits, which receivers ignore."
    return None


def _is_same_key(published: str, public_key: RSAPublicKey) -> bool:
    """Compared as numbers: there are two ways to write the same RSA key down."""
    try:
        other = load_der_public_key(base64.b64decode(published, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(other, RSAPublicKey) and other.public_numbers() == public_key.public_numbers()


def _public_key(path: Path) -> RSAPublicKey:
    return load_key(read_key(path)).public_key()


def _der(key: RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _finding(verdict: Verdict, subject: str, text: str, record: Record | None = None) -> Finding:
    return Finding(verdict, Topic.DKIM, subject, text, record)
