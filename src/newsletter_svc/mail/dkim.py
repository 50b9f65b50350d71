"""DKIM signatures (RFC 6376, RFC 8301): rsa-sha256 over relaxed headers and body, made on as many cores as there are.

Signing costs hundreds of microseconds that nothing shortens, and `cryptography` holds the interpreter meanwhile: so the
signatures of many mails are made by processes of their own. The rest is cheap and stays with the mail.
"""

import base64
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime
from multiprocessing import connection
from typing import TYPE_CHECKING, NamedTuple, Self

from newsletter_svc.dkim_keys import load_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_ONCE_MORE = (b"from", b"subject")
"""Signed once more than they stand there, so that nobody can add another one above (RFC 6376 8.15)."""
_SIGNED = (
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post", b"list-id", b"feedback-id",
)  # fmt: skip
_LINE = 72


class Unsigned(NamedTuple):
    """A signature that lacks its value: what is to be signed, and the header up to `b=`."""

    signed_octets: bytes
    header: bytes


class Signer:
    """Signs for one domain. `private_key` is PEM, of RSA with 2048 bits at least. Raises `UnusableKey`."""

    def __init__(self, *, domain: str, selector: str, private_key: bytes) -> None:
        self._key = load_key(private_key)
        self.private_key = private_key
        self._tags = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};".encode("ascii")

    def sign(self, content: bytes, *, now: datetime, body_hash: bytes | None = None) -> bytes:
        """Return the mail with its signature above it. `content` is finished: any change after this breaks it.

        Whoever knows the SHA-256 of the relaxed body passes it as `body_hash`.
        """
        unsigned = self.prepare(content, now=now, body_hash=body_hash)
        return self.header(unsigned, sign(self._key, unsigned.signed_octets)) + content

    def prepare(self, content: bytes, *, now: datetime, body_hash: bytes | None = None) -> Unsigned:
        """Return what is to be signed. Whoever knows the SHA-256 of the relaxed body passes it as `body_hash`."""
        # Sliced and not parted: the body is 40 KB that nobody needs a copy of.
        end = content.index(b"\r\n\r\n")
        fields = _relaxed_fields(content[:end])
        names = [name for name in _SIGNED if name in fields]
        digest = body_hash or hashlib.sha256(relaxed_body(content[end + 4 :])).digest()
        tags = b"%b t=%d;\r\n h=%b;\r\n bh=%b;\r\n b=" % (
            self._tags,
            now.timestamp(),
            _folded_names([*names, *_ONCE_MORE]),
            base64.b64encode(digest),
        )
        # RFC 6376 5.4.2: a name that is signed once more than it stands there adds nothing.
        signed = [fields[name] for name in names]
        signed.append(b"dkim-signature:" + _relaxed_value(tags))
        return Unsigned(b"\r\n".join(signed), b"DKIM-Signature: " + tags)

    def header(self, unsigned: Unsigned, signature: bytes) -> bytes:
        """Return the whole header, its line end included."""
        value = base64.b64encode(signature)
        lines = [value[start : start + _LINE] for start in range(0, len(value), _LINE)]
        return unsigned.header + b"\r\n ".join(lines) + b"\r\n"


class SigningPool:
    """Makes signatures in processes of its own; used with `with`. Mails go there as their headers only."""

    def __init__(self, signer: Signer, *, processes: int | None = None) -> None:
        self._executor = ProcessPoolExecutor(
            processes,
            # A fork of a process with threads may inherit a lock that nobody will ever release.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(signer.private_key,),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def sign(self, signed_octets: Sequence[bytes]) -> Future[list[bytes]]:
        """Return the signatures once they are made; some dozens at a time make the way there and back cheap."""
        return self._executor.submit(_sign_in_worker, list(signed_octets))


def sign(key: "RSAPrivateKey", octets: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    return key.sign(octets, PKCS1v15(), hashes.SHA256())


def relaxed_body(body: bytes) -> bytes:
    """Return the body as RFC 6376 3.4.4 wants it hashed."""
    lines = relaxed_lines(body).rstrip(b"\r\n")
    return lines + b"\r\n" if lines else b""


def relaxed_lines(octets: bytes) -> bytes:
    """Return whole lines with single blanks, and none at their ends. Empty lines at the end of a body stay."""
    octets = octets.replace(b"\t", b" ")
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets.replace(b" \r\n", b"\r\n")


def _relaxed_fields(head: bytes) -> dict[bytes, bytes]:
    """Return each header by its name in lower case, as RFC 6376 3.4.2 wants it signed. Ours stand there once."""
    fields: dict[bytes, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.rstrip().lower()
        fields[name] = name + b":" + _relaxed_value(value)
    return fields


def _relaxed_value(value: bytes) -> bytes:
    return b" ".join(value.split())


def _folded_names(names: Sequence[bytes]) -> bytes:
    half = len(names) // 2
    return b":".join(names[:half]) + b":\r\n " + b":".join(names[half:])


_worker_key: "RSAPrivateKey | None" = None


def _start_worker(private_key: bytes) -> None:
    global _worker_key
    _worker_key = load_key(private_key)
    # Ctrl-C reaches the whole group of a terminal; what is in flight still needs its signatures.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: it closes nothing that this process waits for when it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # This is a child.
    connection.wait([parent.sentinel])
    os._exit(1)


def _sign_in_worker(signed_octets: list[bytes]) -> list[bytes]:
    key = _worker_key
    assert key is not None  # noqa: S101  # Every worker begins with `_start_worker`.
    return [sign(key, octets) for octets in signed_octets]
