"""MX: whether answers and bounces find their way to the addresses that our mail names."""

from collections.abc import Iterator

from newsletter_svc.doctor.domains import is_address
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Dns, Exchange

_CONSEQUENCES = "answers and bounces are lost, and many servers refuse mail from there."


def check(dns: Dns, domain: str) -> Iterator[Finding]:
    """What is to be said of mail to this domain. Raises NotAnswered."""
    exchanges = dns.exchanges(domain)
    if not exchanges:
        yield _without(dns, domain)
        return
    if not exchanges[0].host:
        yield _finding(Verdict.FAILURE, domain, f"says that it takes no mail (null MX): {_CONSEQUENCES}")
        return
    broken = [finding for exchange in exchanges if (finding := _problem(dns, domain, exchange)) is not None]
    yield from broken
    if len(broken) < len(exchanges):
        hosts = ", ".join(exchange.host for exchange in exchanges)
        yield _finding(Verdict.GOOD, domain, f"takes mail at {hosts}.")


def _without(dns: Dns, domain: str) -> Finding:
    addresses = dns.addresses(domain)
    wanted = Record(domain, "MX", f"10 mail.{domain}.")
    if addresses:
        text = f"has no MX; mail goes to its own address {addresses[0]}. Name the host that takes it."
        return _finding(Verdict.WARNING, domain, text, wanted)
    reason = "has neither MX nor an address" if dns.exists(domain) else "does not exist in the DNS (NXDOMAIN)"
    return _finding(Verdict.FAILURE, domain, f"{reason}: {_CONSEQUENCES}", wanted)


def _problem(dns: Dns, domain: str, exchange: Exchange) -> Finding | None:
    host = exchange.host
    if is_address(host):
        return _finding(Verdict.FAILURE, domain, f"names the address {host} as MX; it must be a host's name.")
    if not dns.addresses(host):
        return _finding(Verdict.FAILURE, domain, f"names {host} as MX, which has no address.")
    return None


def _finding(verdict: Verdict, domain: str, text: str, record: Record | None = None) -> Finding:
    return Finding(verdict, Topic.MX, domain, text, record)
