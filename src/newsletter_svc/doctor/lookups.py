"""Asking the DNS. A name that does not exist, one without such a record, and no usable answer are three things."""

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.reversename
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from newsletter_svc.errors import NewsletterError

Address = IPv4Address | IPv6Address
LOOKUP_SECONDS = 5.0


class Status(StrEnum):
    FOUND = "found"
    NO_NAME = "no such name"
    NO_RECORD = "no such record"


class Answer(NamedTuple):
    """What the DNS holds: texts joined to one each, hosts in lower case without the last dot."""

    status: Status
    values: tuple[str, ...] = ()


class Exchange(NamedTuple):
    """One line of MX; the host is empty in a null MX (RFC 7505)."""

    preference: int
    host: str


class NotAnswered(NewsletterError):
    """Nobody can say what the DNS holds; the text says why."""


class NoAnswerInTime(NotAnswered):
    """Silence: the network, or name servers that are down."""

    def __init__(self, name: str, kind: str, seconds: float) -> None:
        super().__init__(f"no answer for {kind} of {name} within {seconds:g} seconds (timeout)")


class ServersFailed(NotAnswered):
    """The name servers answered that they cannot answer: SERVFAIL (a broken delegation or DNSSEC) or REFUSED."""

    def __init__(self, name: str, kind: str, errors: str) -> None:
        super().__init__(f"the name servers could not answer for {kind} of {name} ({errors})")


class Dns:
    """Looks things up at the system's name servers, or at `nameserver`; every question is asked once."""

    def __init__(self, *, nameserver: tuple[str, int] | None = None, seconds: float = LOOKUP_SECONDS) -> None:
        self._nameserver = nameserver
        self._seconds = seconds
        self._known: dict[tuple[str, str], Answer | NotAnswered] = {}
        self._resolver: dns.resolver.Resolver | None = None

    def texts(self, name: str) -> Answer:
        """The TXT records of a name. Raises NotAnswered, as all of these do."""
        return self._lookup(name, "TXT")

    def addresses(self, host: str, *, kinds: Sequence[str] = ("A", "AAAA")) -> tuple[Address, ...]:
        """The IPv4 and IPv6 addresses of a host; none where it has none."""
        return tuple(ip_address(value) for kind in kinds for value in self._lookup(host, kind).values)

    def exchanges(self, domain: str) -> tuple[Exchange, ...]:
        """Where a domain takes mail, the preferred ones first."""
        pairs = (value.split(" ", 1) for value in self._lookup(domain, "MX").values)
        return tuple(sorted(Exchange(int(preference), host) for preference, host in pairs))

    def names_of(self, address: Address) -> tuple[str, ...]:
        """The names that reverse DNS gives an address."""
        return self._lookup(dns.reversename.from_address(str(address)).to_text(omit_final_dot=True), "PTR").values

    def exists(self, name: str) -> bool:
        """Whether there is such a name, with whatever records; else the DNS says NXDOMAIN."""
        return self.texts(name).status is not Status.NO_NAME

    def _lookup(self, name: str, kind: str) -> Answer:
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            try:
                self._known[key] = self._ask(*key)
            except NotAnswered as error:
                # Remembered too: whoever waited in vain once need not do so for every check.
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, NotAnswered):
            raise known
        return known

    def _ask(self, name: str, kind: str) -> Answer:
        try:
            answer = self._servers().resolve(dns.name.from_text(name), kind)
        except dns.resolver.NXDOMAIN:
            return Answer(Status.NO_NAME)
        except dns.resolver.NoAnswer:
            return Answer(Status.NO_RECORD)
        except dns.exception.Timeout:
            raise NoAnswerInTime(name, kind, self._seconds) from None
        except dns.resolver.NoNameservers as error:
            raise ServersFailed(name, kind, _reasons(error)) from None
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return Answer(Status.NO_NAME)  # Nobody can have registered what is no name.
        except dns.exception.DNSException as error:
            raise ServersFailed(name, kind, type(error).__name__) from None
        return Answer(Status.FOUND, tuple(_value(data) for data in answer))

    def _servers(self) -> dns.resolver.Resolver:
        if self._resolver is None:
            resolver = dns.resolver.Resolver(configure=self._nameserver is None)
            if self._nameserver is not None:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*self._nameserver)]
            resolver.lifetime = self._seconds
            self._resolver = resolver
        return self._resolver


def _value(data: dns.rdata.Rdata) -> str:
    if isinstance(data, TXT):
        return b"".join(data.strings).decode("utf-8", errors="replace")
    if isinstance(data, MX):
        return f"{data.preference} {_host(data.exchange)}"
    return data.to_text().rstrip(".").lower()


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _reasons(error: dns.resolver.NoNameservers) -> str:
    """`SERVFAIL` or `REFUSED`, or what went wrong on the way to each server."""
    said = [each[3] for each in error.kwargs.get("errors", [])]
    names = [each if isinstance(each, str) else type(each).__name__ for each in said]
    return ", ".join(dict.fromkeys(names)) or "no name server is configured"
