"""What may sign our mail: DKIM's private key and domain, and a sentence for each reason why they may not."""

import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter_svc.errors import NewsletterError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_SMALLEST_KEY = 2048  # RFC 8301 3.2
_LONGEST_FILE = 64 * 1024
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}", re.IGNORECASE)
_REGISTRIES = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
"""Under a country's label these are no organisation's: `co.uk`, `com.au`."""


class UnusableKey(NewsletterError):
    """The private key cannot sign mail that others accept. Quotes nothing of it."""


def read_key(path: Path) -> bytes:
    """Return the octets of a key file. Raises `UnusableKey`."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE)
    except OSError as error:
        # Its own text names the path, and who mistook the variable wrote the key itself there.
        raise UnusableKey(f"the file cannot be read ({error.strerror})") from None
    except ValueError:
        raise UnusableKey("the file cannot be read (it is not a path)") from None


# A start looks at the same key twice, and to check one of 4096 bits takes a quarter of a second.
@lru_cache(maxsize=1)
def load_key(pem: bytes) -> "RSAPrivateKey":
    """Return the key that these octets hold. Raises `UnusableKey`."""
    # Most settings name no key, and every command reads them: `cryptography` is imported by who has one.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The text of the error may quote the key.
        raise UnusableKey("it is not an unencrypted private key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise UnusableKey("it is not an RSA key")
    if key.key_size < _SMALLEST_KEY:
        raise UnusableKey(f"it has {key.key_size} bits; {_SMALLEST_KEY} are the least")
    return key


def problems(
    domain: str | None, *, selector: str | None, key_file: Path | None, sender: str, is_production: bool
) -> Iterator[str]:
    """What is wrong with DKIM's three settings; `sender` is the address that digests come from."""
    if domain is None and selector is None and key_file is None:
        return
    if domain is None or selector is None or key_file is None:
        yield "DKIM_DOMAIN, DKIM_SELECTOR and DKIM_PRIVATE_KEY_FILE go together: set all of them or none."
    if selector is not None and not _SELECTOR.fullmatch(selector):
        yield "DKIM_SELECTOR must be a name such as s2026."
    if domain is not None and not _DOMAIN.fullmatch(domain):
        yield "DKIM_DOMAIN must be a domain such as example.org, in its ASCII form."
    elif domain is not None and not is_aligned(domain, sender.rpartition("@")[2]):
        yield "DKIM_DOMAIN must belong to the same organisation as the domain of MAIL_DEFAULT_SENDER (RFC 7489 3.1.1)."
    if key_file is not None:
        yield from _file_problems(key_file, is_production=is_production)


def is_aligned(domain: str, sender_domain: str) -> bool:
    """Whether a signature of `domain` speaks for a sender there: `example.org` for `news.example.org`, and back.

    Registries are known by their usual names alone, so this finds mistakes; it is no judge over every domain.
    """
    return _organisation(domain) == _organisation(sender_domain)


def _organisation(domain: str) -> list[str]:
    labels = domain.lower().split(".")
    is_registry = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _REGISTRIES
    return labels[-3:] if is_registry else labels[-2:]


def _file_problems(key_file: Path, *, is_production: bool) -> Iterator[str]:
    try:
        load_key(read_key(key_file))
        if is_production and key_file.stat().st_mode & stat.S_IRWXO:
            yield "DKIM_PRIVATE_KEY_FILE: others on this machine may read or change it; `chmod o=` takes that away."
    except UnusableKey as error:
        yield f"DKIM_PRIVATE_KEY_FILE: {error}."
