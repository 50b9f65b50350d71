"""Signed tokens: what each is good for, issuing and reading them, and the ring of keys behind them."""

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from newsletter_svc.errors import NewsletterError

MAX_TOKEN_LENGTH = 2_000
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Purpose(StrEnum):
    """What a token is good for. It is the salt of the signature, so no token opens the door of another."""

    MAGIC_LINK = "magic-link"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    PREVIEW = "preview"
    CHANGE_ADDRESS = "change-address"
    UNDO_ADDRESS = "undo-address"


class BadToken(NewsletterError):
    """Not a token of ours for this purpose. `private_reason` is for the log, never for a stranger."""

    def __init__(self, private_reason: str) -> None:
        super().__init__("the token is not valid")
        self.private_reason = private_reason


class Keyring:
    """The secret keys, newest first: all of them verify, the first one signs.

    Expiry stands inside a payload or in the row that it names, not in the signature's time stamp: itsdangerous refuses
    a token whose signer's clock ran two seconds ahead.
    """

    def __init__(self, keys: Sequence[str], *, environment: str) -> None:
        self._environment = environment
        self._keys = {key_id(key): key for key in keys}
        self._newest = key_id(keys[0])
        self._oldest_first = list(reversed(keys))

    @property
    def newest(self) -> str:
        """The id of the key that signs now."""
        return self._newest

    @property
    def all(self) -> tuple[str, ...]:
        """The ids of all keys, newest first."""
        return tuple(self._keys)

    def issue(self, purpose: Purpose, payload: Any) -> str:
        """A URL-safe token that carries `payload` (readable by anybody who holds it) for `purpose`."""
        return str(self._serializer(purpose).dumps(payload))

    def stamp(self, purpose: Purpose) -> Callable[[Sequence[int]], str]:
        """Return an `issue` for a million payloads of a few numbers: what is the same for them is done once."""
        signer = self._serializer(purpose).make_signer()
        begun, separator = hmac.new(signer.derive_key(), digestmod=hashlib.sha256), signer.sep

        def issue(numbers: Sequence[int]) -> str:
            payload = b2a_base64(f"[{','.join(map(str, numbers))}]".encode("ascii"), newline=False)
            payload = payload.translate(_URL_SAFE).rstrip(b"=")
            mac = begun.copy()
            mac.update(payload)
            value = b2a_base64(mac.digest(), newline=False).translate(_URL_SAFE).rstrip(b"=")
            return (payload + separator + value).decode("ascii")

        return issue

    def read(self, purpose: Purpose, token: str) -> Any:
        """The payload of a token. Raises BadToken for everything that is not one of ours for this purpose.

        One payload has many spellings that verify (spare bits of base64, a trailing `=`): whoever wants single use
        must use up something inside the payload.
        """
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise BadToken("not a token")
        try:
            return self._serializer(purpose).loads(token)
        except (BadData, ValueError) as error:
            raise BadToken(type(error).__name__) from error

    def derive(self, key: str, *parts: str) -> bytes:
        """32 bytes that only the holder of the key with this id can make again. Raises BadToken for a retired key."""
        return hmac.digest(self._key(key), self._message(parts), hashlib.sha256)

    def deriving(self, key: str, *parts: str) -> Callable[[str], bytes]:
        """Return a `derive` for a million last parts: what is the same for them is done once."""
        begun = hmac.new(self._key(key), self._message((*parts, "")), digestmod=hashlib.sha256)

        def derive(last: str) -> bytes:
            mac = begun.copy()
            mac.update(last.encode())
            return mac.digest()

        return derive

    def _key(self, key: str) -> bytes:
        if key not in self._keys:
            raise BadToken("retired key")
        return self._keys[key].encode()

    def _message(self, parts: Sequence[str]) -> bytes:
        return "\x00".join((self._environment, *parts)).encode()

    def _serializer(self, purpose: Purpose) -> URLSafeSerializer:
        salt = f"newsletter_svc.{self._environment}.{purpose}"
        return URLSafeSerializer(self._oldest_first, salt=salt, signer_kwargs={"digest_method": hashlib.sha256})


def key_id(key: str) -> str:
    """A short public name of a secret key, so that a row can say which one it was made with."""
    return hashlib.sha256(b"newsletter_svc key id\x00" + key.encode()).hexdigest()[:12]


def fingerprint(secret: str) -> str:
    """What rests in the database instead of a random secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
