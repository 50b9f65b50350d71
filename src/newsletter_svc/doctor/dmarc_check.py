"""DMARC of the domains in From: a policy, somebody who reads the reports, and alignment of what we send."""

from collections.abc import Iterator, Mapping

from newsletter_svc.doctor import tags
from newsletter_svc.doctor.domains import belong_together, organisation
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.setup import Setup, domains_of

_POLICIES = {
    "none": (Verdict.WARNING, "asks for nothing yet (p=none). Go on to p=quarantine once the reports are clean."),
    "quarantine": (Verdict.GOOD, "sends what is not ours to the spam folder (p=quarantine)."),
    "reject": (Verdict.GOOD, "has what is not ours refused (p=reject)."),
}
_RECORD = "v=DMARC1"


def check(setup: Setup, domain: str) -> Iterator[Finding]:
    """What is to be said of this domain of From. Raises NotAnswered."""
    name, found = _records(setup.dns, domain)
    if not found:
        wanted = Record(f"_dmarc.{organisation(domain)}", "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}")
        text = "has no DMARC record; large mailbox providers refuse newsletters without one."
        yield _finding(Verdict.FAILURE, domain, text, wanted)
        return
    read = tags.read(found[0])
    if len(found) > 1:
        yield _finding(Verdict.FAILURE, name, f"has {len(found)} records; with more than one, none counts.")
        return
    if read is None or read.get("p", "").lower() not in _POLICIES:
        wanted = Record(name, "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}")
        yield _finding(Verdict.FAILURE, name, "holds a record that names no policy which receivers know (p=).", wanted)
        return
    verdict, text = _POLICIES[_policy(read, is_own=name == f"_dmarc.{domain}")]
    yield _finding(verdict, name, text)
    yield from _reports(setup.dns, name, domain, found[0], read)
    yield _alignment(setup, domain, read)


def _records(dns: Dns, domain: str) -> tuple[str, list[str]]:
    """The records that count for a domain: its own, else its organisation's (RFC 7489 6.6.3)."""
    for owner in dict.fromkeys((domain, organisation(domain))):
        name = f"_dmarc.{owner}"
        found = [text for text in dns.texts(name).values if _is_dmarc(text)]
        if found:
            return name, found
    return f"_dmarc.{domain}", []


def _is_dmarc(text: str) -> bool:
    return text.replace(" ", "").partition(";")[0] == _RECORD


def _policy(read: Mapping[str, str], *, is_own: bool) -> str:
    """What is asked for mail of this domain; `sp` speaks of the domains below the one with the record."""
    subdomains = read.get("sp", "").lower()
    return subdomains if not is_own and subdomains in _POLICIES else read["p"].lower()


def _reports(dns: Dns, name: str, domain: str, text: str, read: Mapping[str, str]) -> Iterator[Finding]:
    addresses = [uri.partition("!")[0].removeprefix("mailto:") for uri in tags.listed(read.get("rua", ""), between=",")]
    if not addresses:
        wanted = Record(name, "TXT", f"{text.rstrip('; ')}; rua=mailto:dmarc@{domain}")
        yield _finding(Verdict.WARNING, name, "names nobody who gets the reports (rua).", wanted)
    for other in domains_of(addresses):
        allowed = f"{name.removeprefix('_dmarc.')}._report._dmarc.{other}"
        if belong_together(domain, other) or any(_is_dmarc(each) for each in dns.texts(allowed).values):
            continue
        said = f"sends reports to {other}, which does not say that it wants them (RFC 7489 7.1)."
        yield _finding(Verdict.WARNING, name, said, Record(allowed, "TXT", _RECORD))


def _alignment(setup: Setup, domain: str, read: Mapping[str, str]) -> Finding:
    signature = setup.settings.dkim_domain
    envelope = domains_of([setup.settings.bounce_address]) if setup.settings.bounce_address else [domain]
    by_dkim = signature is not None and _is_aligned(signature.lower(), domain, mode=read.get("adkim", "r"))
    by_spf = _is_aligned(envelope[0], domain, mode=read.get("aspf", "r"))
    if by_dkim or by_spf:
        ways = " and ".join(way for way, holds in (("DKIM", by_dkim), ("SPF", by_spf)) if holds)
        return _finding(Verdict.GOOD, domain, f"is aligned by {ways}.")
    text = f"is aligned neither with the envelope's {envelope[0]} nor with a signature of ours"
    if signature is None:
        return _finding(Verdict.WARNING, domain, f"{text}; all rests on the mail server signing as {domain}.")
    return _finding(Verdict.FAILURE, domain, f"{text} (DKIM_DOMAIN is {signature}): DMARC fails for every mail.")


def _is_aligned(one: str, other: str, *, mode: str) -> bool:
    """RFC 7489 3.1: the same domain where it is strict, else the same organisation."""
    return one == other if mode.lower() == "s" else belong_together(one, other)


def _finding(verdict: Verdict, subject: str, text: str, record: Record | None = None) -> Finding:
    return Finding(verdict, Topic.DMARC, subject, text, record)
