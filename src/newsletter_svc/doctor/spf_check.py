"""SPF of the domains in the envelope: one record, sound, and covering the servers that our mail comes from."""

from collections.abc import Iterator

from newsletter_svc.doctor import providers, spf, spf_terms
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Address
from newsletter_svc.doctor.setup import Sending, Setup, domain_of
from newsletter_svc.doctor.spf import MAX_LOOKUPS, Outcome, Result
from newsletter_svc.doctor.spf_terms import BadTerm, Policy, Qualifier


def check(setup: Setup, sender: str) -> Iterator[Finding]:
    """What is to be said of the domain of this envelope sender. Raises NotAnswered."""
    domain = domain_of(sender)
    found = spf.policies(setup.dns, domain)
    if not found:
        reason = "has no SPF record" if setup.dns.exists(domain) else "does not exist in the DNS (NXDOMAIN)"
        text = f"{reason}, so nothing says which servers may send for it."
        yield _finding(Verdict.FAILURE, domain, text, _new_record(setup, domain))
        return
    if len(found) > 1:
        text = f"has {len(found)} SPF records; with more than one, none counts. Keep this one alone."
        yield _finding(Verdict.FAILURE, domain, text, Record(domain, "TXT", _merged(found)))
        return
    try:
        policy = spf_terms.parse(found[0])
        yield from _ends_well(domain, policy)
        yield from _costs_little(setup, domain, policy)
        yield from _covers_us(setup, sender, found[0], policy)
    except BadTerm as error:
        yield _finding(Verdict.FAILURE, domain, f"has a broken SPF record, which receivers ignore: {error}.")


def _ends_well(domain: str, policy: Policy) -> Iterator[Finding]:
    if policy.all is Qualifier.PASS:
        yield _finding(Verdict.FAILURE, domain, "ends in +all: anybody may send in your name. Write ~all or -all.")
    elif policy.all is Qualifier.NEUTRAL or (policy.all is None and policy.redirect is None):
        text = "says nothing about servers that it does not name. End it with ~all, or -all once mail arrives."
        yield _finding(Verdict.WARNING, domain, text)
    if any(each.name == "ptr" for each in policy.mechanisms):
        yield _finding(Verdict.WARNING, domain, "uses ptr, which many receivers skip (RFC 7208 5.5).")


def _costs_little(setup: Setup, domain: str, policy: Policy) -> Iterator[Finding]:
    lookups = spf.count_lookups(setup.dns, policy)
    if lookups > MAX_LOOKUPS:
        text = f"needs {lookups} lookups; beyond {MAX_LOOKUPS} receivers give up. Replace includes by addresses."
        yield _finding(Verdict.FAILURE, domain, text)
    else:
        yield _finding(Verdict.GOOD, domain, f"has one sound SPF record; it needs {lookups} of {MAX_LOOKUPS} lookups.")


def _covers_us(setup: Setup, sender: str, text: str, policy: Policy) -> Iterator[Finding]:
    domain, sending = domain_of(sender), setup.sending
    include = providers.spf_of(setup.settings.mail_server or "")
    if include is not None and not setup.stated_addresses:
        yield _includes_provider(setup, domain, text, policy, include)
    elif not sending.addresses:
        text = f"was not asked about the address that mail leaves from, which is not known: {sending.unknown_because}."
        yield _finding(Verdict.UNCHECKED, domain, text)
    for address in sending.addresses if include is None or setup.stated_addresses else ():
        outcome = spf.evaluate(setup.dns, address, domain=domain, sender=sender)
        yield _covered(domain, text, address, outcome, sending)


def _includes_provider(setup: Setup, domain: str, text: str, policy: Policy, include: str) -> Finding:
    server = setup.settings.mail_server
    if include in spf.includes(setup.dns, policy):
        return _finding(Verdict.GOOD, domain, f"includes {include}, whose servers send what {server} takes.")
    wanted = Record(domain, "TXT", spf_terms.with_term(text, [f"include:{include}"]))
    return _finding(Verdict.WARNING, domain, f"does not include {include}, whose servers send for {server}.", wanted)


def _covered(domain: str, text: str, address: Address, outcome: Outcome, sending: Sending) -> Finding:
    if outcome.result is Result.PASS:
        return _finding(Verdict.GOOD, domain, f"lets {address} send (pass).")
    if outcome.reason:
        said = f"cannot be evaluated for {address} ({outcome.result}): {outcome.reason}."
        return _finding(Verdict.FAILURE, domain, said)
    wanted = Record(domain, "TXT", spf_terms.with_term(text, [_term(address)]))
    if sending.is_certain:
        return _finding(Verdict.FAILURE, domain, f"does not let {address} send ({outcome.result}).", wanted)
    said = (
        f"does not let {address}, where MAIL_SERVER is, send ({outcome.result}). "
        "Right if the provider sends from other addresses; those are what --sending-address checks."
    )
    return _finding(Verdict.WARNING, domain, said, wanted)


def _new_record(setup: Setup, domain: str) -> Record:
    include = providers.spf_of(setup.settings.mail_server or "")
    if include is not None and not setup.stated_addresses:
        terms = [f"include:{include}"]
    else:
        terms = [_term(address) for address in setup.sending.addresses] or ["mx"]
    return Record(domain, "TXT", " ".join([spf_terms.VERSION, *terms, "~all"]))


def _merged(found: list[str]) -> str:
    """One record with the terms of all of them, each once; what is new ends softly."""
    terms = (term for text in found for term in text.split()[1:])
    named = dict.fromkeys(term for term in terms if term.lstrip("+-~?").lower() != "all")
    return " ".join([spf_terms.VERSION, *named, "~all"])


def _term(address: Address) -> str:
    return f"ip{address.version}:{address}"


def _finding(verdict: Verdict, domain: str, text: str, record: Record | None = None) -> Finding:
    return Finding(verdict, Topic.SPF, domain, text, record)
