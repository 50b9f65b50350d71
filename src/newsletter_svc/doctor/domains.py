"""Which domains belong together: the registrable domain, by the list of public suffixes."""

from functools import cache
from ipaddress import ip_address

from publicsuffixlist import PublicSuffixList

_DEVELOPMENT = ("localhost", "local", "test", "invalid")


def organisation(domain: str) -> str:
    """`example.co.uk` for `mail.example.co.uk`; a public suffix or an address is its own."""
    if is_address(domain):
        return domain
    return _suffixes().privatesuffix(domain.lower()) or domain.lower()


def belong_together(one: str, other: str) -> bool:
    """Whether both are of one organisation: same-site for cookies, aligned for DMARC in its relaxed form."""
    return organisation(one) == organisation(other)


def is_for_development(domain: str) -> bool:
    """Whether nobody outside can look this name up (RFC 6761 6)."""
    return "." not in domain or domain.lower().rpartition(".")[2] in _DEVELOPMENT


def is_address(host: str) -> bool:
    """Whether this is an IP address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> PublicSuffixList:
    # It reads a file of a quarter megabyte, so it does that only for whoever asks.
    return PublicSuffixList()
