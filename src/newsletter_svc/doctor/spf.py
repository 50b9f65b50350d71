"""What SPF says of an address (RFC 7208): the same walk through records that a receiving mail server makes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, ip_network

from newsletter_svc.doctor import spf_macros, spf_terms
from newsletter_svc.doctor.lookups import Address, Dns, NotAnswered
from newsletter_svc.doctor.spf_terms import BadTerm, Mechanism, Policy, Qualifier
from newsletter_svc.errors import NewsletterError

MAX_LOOKUPS = 10  # RFC 7208 4.6.4
MAX_VOID_LOOKUPS = 2
MAX_NAMES = 10
_ASKS = {"include", "a", "mx", "ptr", "exists"}
_ENDLESS = 5 * MAX_LOOKUPS


class Result(StrEnum):
    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - the word of RFC 7208 2.6.3.
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True)
class Outcome:
    """What a receiver would find, and why where it is an error."""

    result: Result
    reason: str = ""


class BrokenPolicy(NewsletterError):
    """Receivers give up on this policy (permerror); the text says why."""


_RESULTS = {
    Qualifier.PASS: Result.PASS,
    Qualifier.FAIL: Result.FAIL,
    Qualifier.SOFTFAIL: Result.SOFTFAIL,
    Qualifier.NEUTRAL: Result.NEUTRAL,
}


def evaluate(dns: Dns, address: Address, *, domain: str, sender: str) -> Outcome:
    """What a server that gets mail from `address` with the envelope sender `sender` finds for `domain`."""
    try:
        return Outcome(_Walk(dns, address, sender).check(domain))
    except (BrokenPolicy, BadTerm) as error:
        return Outcome(Result.PERMERROR, str(error))
    except NotAnswered as error:
        return Outcome(Result.TEMPERROR, str(error))


def policies(dns: Dns, domain: str) -> list[str]:
    """Every SPF record of a domain: one, if all is well. Raises NotAnswered."""
    return sorted(text for text in dns.texts(domain).values if spf_terms.is_policy(text))


def count_lookups(dns: Dns, policy: Policy) -> int:
    """How many questions the whole policy costs whoever is matched by none of it. Raises NotAnswered and BadTerm.

    Counting ends far beyond what is allowed, so policies that include each other end too.
    """
    return _count(dns, policy, 0)


def includes(dns: Dns, policy: Policy) -> set[str]:
    """The domains that a policy includes, directly or through others. Raises NotAnswered and BadTerm."""
    found: set[str] = set()
    waiting = list(_followed(policy))
    while waiting and len(found) < _ENDLESS:
        domain = waiting.pop().lower()
        if domain not in found:
            found.add(domain)
            waiting += [each for text in policies(dns, domain)[:1] for each in _followed(spf_terms.parse(text))]
    return found


def _count(dns: Dns, policy: Policy, so_far: int) -> int:
    so_far += sum(each.name in _ASKS for each in policy.mechanisms) + (_redirect(policy) is not None)
    for domain in _followed(policy):
        for text in policies(dns, domain)[:1]:
            if so_far < _ENDLESS:
                so_far = _count(dns, spf_terms.parse(text), so_far)
    return so_far


def _followed(policy: Policy) -> Iterable[str]:
    """The policies that this one goes on with; those that depend on the address or sender cannot be followed."""
    named = [each.domain for each in policy.mechanisms if each.name == "include"]
    return [domain for domain in (*named, _redirect(policy)) if domain and "%" not in domain]


def _redirect(policy: Policy) -> str | None:
    """RFC 7208 6.1: where there is `all`, `redirect` is not looked at."""
    return policy.redirect if policy.all is None else None


@dataclass
class _Walk:
    """One evaluation, with what it has cost so far."""

    dns: Dns
    address: Address
    sender: str
    lookups: int = field(default=0)
    void_lookups: int = field(default=0)

    def check(self, domain: str) -> Result:
        found = policies(self.dns, domain)
        if not found:
            return Result.NONE
        if len(found) > 1:
            raise BrokenPolicy(f"{domain} has {len(found)} SPF records; one is allowed")
        policy = spf_terms.parse(found[0])
        for mechanism in policy.mechanisms:
            if self._matches(mechanism, domain):
                return _RESULTS[mechanism.qualifier]
        if policy.redirect is None:
            return Result.NEUTRAL
        self._count_lookup()
        target = self._expanded(policy.redirect, domain)
        result = self.check(target)
        if result is Result.NONE:
            raise BrokenPolicy(f"redirect={target} leads to no SPF record")
        return result

    def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return self.address in mechanism.network
        self._count_lookup()
        target = self._expanded(mechanism.domain or domain, domain)
        match mechanism.name:
            case "include":
                return self._is_included(target)
            case "a":
                return self._is_one_of(self._addresses(target, kind=self._kind), mechanism)
            case "mx":
                return self._is_exchange(target, mechanism)
            case "exists":
                return bool(self._addresses(target, kind="A"))
            case _:
                return self._is_named(target)

    def _is_included(self, target: str) -> bool:
        result = self.check(target)
        if result is Result.NONE:
            raise BrokenPolicy(f"include:{target} leads to no SPF record")
        return result is Result.PASS

    def _is_exchange(self, target: str, mechanism: Mechanism) -> bool:
        exchanges = self.dns.exchanges(target)
        self._count_void(not exchanges)
        if len(exchanges) > MAX_NAMES:
            raise BrokenPolicy(f"mx: {target} has more than {MAX_NAMES} mail servers")
        hosts = [each.host for each in exchanges if each.host]
        return any(self._is_one_of(self.dns.addresses(host, kinds=[self._kind]), mechanism) for host in hosts)

    def _is_named(self, target: str) -> bool:
        names = self.dns.names_of(self.address)[:MAX_NAMES]
        self._count_void(not names)
        own = [name for name in names if name == target or name.endswith(f".{target}")]
        return any(self.address in self.dns.addresses(name, kinds=[self._kind]) for name in own)

    def _is_one_of(self, addresses: Iterable[Address], mechanism: Mechanism) -> bool:
        prefix = mechanism.prefix4 if isinstance(self.address, IPv4Address) else mechanism.prefix6
        return any(self.address in ip_network(f"{each}/{prefix}", strict=False) for each in addresses)

    def _addresses(self, host: str, *, kind: str) -> tuple[Address, ...]:
        addresses = self.dns.addresses(host, kinds=[kind])
        self._count_void(not addresses)
        return addresses

    @property
    def _kind(self) -> str:
        return "A" if isinstance(self.address, IPv4Address) else "AAAA"

    def _expanded(self, text: str, domain: str) -> str:
        return spf_macros.expand(text, address=self.address, domain=domain, sender=self.sender)

    def _count_lookup(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise BrokenPolicy(f"more than {MAX_LOOKUPS} lookups are needed (RFC 7208 4.6.4)")

    def _count_void(self, is_void: bool) -> None:
        self.void_lookups += is_void
        if self.void_lookups > MAX_VOID_LOOKUPS:
            raise BrokenPolicy(f"more than {MAX_VOID_LOOKUPS} lookups find nothing (RFC 7208 4.6.4)")
