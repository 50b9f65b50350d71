"""A key that signs mail, the record that the name service would have of it, and others' word on what it signed."""

from pathlib import Path

import dkim as dkimpy
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

DOMAIN = "news.example.org"
SELECTOR = "s2026"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def record(name: bytes, timeout: int = 5) -> bytes:
    """What the name service answers about our key."""
    assert name == f"{SELECTOR}._domainkey.{DOMAIN}.".encode()
    octets = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b"".join(octets.splitlines()[1:-1])


def is_valid(raw: bytes) -> bool:
    """Whether an implementation that is not ours finds the mail signed and unchanged."""
    return bool(dkimpy.verify(raw, dnsfunc=record))


def key_file(folder: Path, pem: bytes = PEM, *, mode: int = 0o600) -> Path:
    """Return the file that holds a key."""
    path = folder / "dkim.pem"
    path.write_bytes(pem)
    path.chmod(mode)
    return path
