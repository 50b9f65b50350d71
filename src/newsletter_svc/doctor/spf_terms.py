"""The words of an SPF record (RFC 7208 4.6 and 5): mechanisms with what they match, and where to go on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from newsletter_svc.errors import NewsletterError

VERSION = "v=spf1"
_NEEDS_DOMAIN = {"include", "exists"}
_TAKES_NETWORKS = {"a", "mx"}
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)")
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9]*)(?::((?:%\{[^}]*\}|[^/%]|%(?!\{))*))?((?:/.*)?)")
# RFC 7208 7.1: a name has a dot and a last label that is not a number, or ends in a macro.
_DOMAIN_END = re.compile(
    r"(?:\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?|%\{[^}]*\}|%[%_-])\Z"
)
_PREFIXES = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?")


class BadTerm(NewsletterError):
    """A term that is none; whoever receives mail then ignores the whole record (permerror)."""


class Qualifier(StrEnum):
    PASS = "+"  # noqa: S105 - the word of RFC 7208 4.6.2.
    FAIL = "-"
    SOFTFAIL = "~"
    NEUTRAL = "?"


@dataclass(frozen=True)
class Mechanism:
    """`~all`, `a:mail.example.org/24`, `ip4:192.0.2.0/24`; for `ip4` and `ip6` the network is in `network`."""

    qualifier: Qualifier
    name: str
    domain: str | None = None
    prefix4: int = 32
    prefix6: int = 128
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True)
class Policy:
    """What an SPF record says, in order."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None

    @property
    def all(self) -> Qualifier | None:
        """How the record ends for everybody whom it does not name; None where it does not say."""
        return next((each.qualifier for each in self.mechanisms if each.name == "all"), None)


def is_policy(text: str) -> bool:
    """Whether a TXT record is one of SPF."""
    return text.lower() == VERSION or text.lower().startswith(VERSION + " ")


def parse(text: str) -> Policy:
    """Read a record. Raises BadTerm for the first term that is none."""
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text.split()[1:]:
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(_mechanism(term))
            continue
        name = modifier[1].lower()
        if name in modifiers and name in ("redirect", "exp"):
            raise BadTerm(f"{name}= stands there twice")
        modifiers[name] = modifier[2]
    redirect = modifiers.get("redirect")
    _check_domain(f"redirect={redirect}", redirect)
    return Policy(tuple(mechanisms), redirect)


def with_term(text: str, terms: Iterable[str]) -> str:
    """The record with more terms, where they have a say: before `all`, or at its end."""
    words = text.split()
    is_all = [word.lstrip("+-~?").lower() == "all" for word in words]
    place = is_all.index(True) if True in is_all else len(words)
    return " ".join([*words[:place], *terms, *words[place:]])


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    if found is None:
        raise BadTerm(f"{term!r} is no term of SPF")
    qualifier, name, domain, rest = Qualifier(found[1] or "+"), found[2].lower(), found[3], found[4]
    if name in ("ip4", "ip6"):
        return Mechanism(qualifier, name, network=_network(term, name, term.partition(":")[2]))
    if name in _TAKES_NETWORKS:
        return _host_mechanism(term, qualifier, name, domain, rest)
    known = name in _NEEDS_DOMAIN or name in ("all", "ptr")
    if not known or rest or (name == "all" and domain is not None) or (name in _NEEDS_DOMAIN and domain is None):
        raise BadTerm(f"{term!r} is no term of SPF")
    _check_domain(term, domain)
    return Mechanism(qualifier, name, domain)


def _host_mechanism(term: str, qualifier: Qualifier, name: str, domain: str | None, rest: str) -> Mechanism:
    prefixes = _PREFIXES.fullmatch(rest)
    if prefixes is None:
        raise BadTerm(f"{term!r} is no term of SPF")
    _check_domain(term, domain)
    prefix4, prefix6 = int(prefixes[1] or 32), int(prefixes[2] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise BadTerm(f"{term!r} names a network that does not exist")
    return Mechanism(qualifier, name, domain, prefix4, prefix6)


def _check_domain(term: str, domain: str | None) -> None:
    if domain is not None and _DOMAIN_END.search(domain) is None:
        raise BadTerm(f"{term!r} names no domain")


def _network(term: str, name: str, written: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(written, strict=False)
    except ValueError:
        raise BadTerm(f"{term!r} names no network") from None
    if network.version != int(name[2]):
        raise BadTerm(f"{term!r} names a network of the other kind of address")
    return network
