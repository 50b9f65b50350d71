"""PTR: whether the servers that our mail comes from have a name that leads back to them."""

from collections.abc import Iterator

import dns.reversename

from newsletter_svc.doctor.domains import is_address
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Address
from newsletter_svc.doctor.setup import Setup


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of the addresses that mail leaves from. Raises NotAnswered."""
    sending = setup.sending
    if not sending.addresses:
        text = f"is not known: {sending.unknown_because}."
        yield Finding(Verdict.UNCHECKED, Topic.PTR, "The address that mail leaves from", text)
    bad = Verdict.FAILURE if sending.is_certain else Verdict.WARNING
    for address in sending.addresses:
        yield _of(setup, address, bad=bad)


def _of(setup: Setup, address: Address, *, bad: Verdict) -> Finding:
    names = setup.dns.names_of(address)
    confirmed = [name for name in names if address in setup.dns.addresses(name)]
    if confirmed:
        return Finding(Verdict.GOOD, Topic.PTR, str(address), f"is {confirmed[0]}, and that name leads back to it.")
    if not names:
        text = "has no name in reverse DNS; large mailbox providers refuse mail from such an address."
        return Finding(bad, Topic.PTR, str(address), text, _wanted(setup, address))
    text = f"is called {names[0]}, which does not lead back to it."
    return Finding(bad, Topic.PTR, str(address), text, Record(names[0], _kind(address), str(address)))


def _wanted(setup: Setup, address: Address) -> Record:
    server = setup.settings.mail_server
    name = dns.reversename.from_address(str(address)).to_text(omit_final_dot=True)
    is_server = server is not None and not is_address(server) and not setup.stated_addresses
    return Record(name, "PTR", f"{server}." if is_server else "the.name.of.that.server.")


def _kind(address: Address) -> str:
    return "A" if address.version == 4 else "AAAA"
