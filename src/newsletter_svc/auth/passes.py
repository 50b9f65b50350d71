"""Passes: short-lived signed JWTs with which other services can trust that a reader is signed in (RFC 7519).

The P-256 keys are made from SECRET_KEYS, so they need no storage and turn with them: the newest key signs, and the
public halves of all keys stand in the key set (RFC 7517), each under its id.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from newsletter_svc.settings import Settings
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import Keyring

ALGORITHM = "ES256"
LIFETIME = timedelta(minutes=5)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Passes:
    """Issues passes and publishes the keys to check them with."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._issuer = settings.public_url
        self._audience = list(dict.fromkeys((settings.frontend_url, *settings.frontend_origins)))
        self._keys = [_signing_key(keyring, key_id) for key_id in keyring.all]

    def issue(self, subscriber: Subscriber, *, newsletters: list[str], now: datetime) -> str:
        """A pass for this reader, good for five minutes: long enough to show it, too short to be worth stealing."""
        newest = self._keys[0]
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subscriber.public_id,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": uuid4().hex,
            "email": subscriber.email,
            "email_verified": True,
            "newsletters": newsletters,
        }
        header = {"alg": ALGORITHM, "kid": newest.kid, "typ": "JWT"}
        return jwt.encode(header, claims, newest, algorithms=[ALGORITHM])

    def public_keys(self) -> dict[str, Any]:
        """The key set for `/.well-known/jwks.json`: public halves only."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}


def _signing_key(keyring: Keyring, key_id: str) -> ECKey:
    seed = int.from_bytes(keyring.derive(key_id, "jwt-p256"))
    # The order is so close to 2**256 that the remainder is as good as drawn from the whole range (FIPS 186-5 A.2.1).
    private = ec.derive_private_key(seed % (P256_ORDER - 1) + 1, ec.SECP256R1())
    return ECKey.import_key(private, {"kid": key_id, "use": "sig", "alg": ALGORITHM})
