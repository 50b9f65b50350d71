"""Addresses as they stand on the wire: one addr-spec, ASCII, the domain in A-labels."""

import re
from functools import lru_cache

import idna

from newsletter_svc.mail.message import UnsendableMessage

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LONGEST = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
_LONGEST_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1
_RECENT = 256  # The sender's and a reader's address are needed several times for one mail.


@lru_cache(_RECENT)
def wire_address(email: str) -> str:
    """Return the address with its domain in A-labels: `ada@bücher.example` gives `ada@xn--bcher-kva.example`.

    Raises `UnsendableMessage` for whatever is not exactly one plain address. Addresses were checked when they were
    given; this is the last gate before the envelope, where a line break would be a command of its own.
    """
    local_part, _, domain = email.rpartition("@")
    if not _LOCAL_PART.fullmatch(local_part) or len(local_part) > _LONGEST_LOCAL_PART:
        raise UnsendableMessage("the part before the @ is not one that every mail server takes")
    if "=?" in local_part:
        raise UnsendableMessage("the part before the @ looks like an encoded word")
    address = f"{local_part}@{_ascii_domain(domain)}"
    if len(address) > _LONGEST:
        raise UnsendableMessage("the address is longer than 254 octets")
    return address


def _ascii_domain(domain: str) -> str:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError:  # idna.IDNAError is one; its text quotes the domain and must not travel on.
            raise UnsendableMessage("the domain is not a valid international domain") from None
    if not _DOMAIN.fullmatch(domain):
        raise UnsendableMessage("the domain is not a valid domain")
    return domain
