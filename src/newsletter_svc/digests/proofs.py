"""Proofs: copies of an issue for those who make it, marked as a test and sent past the ledger of readers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_hex

from newsletter_svc.digests import letter, preview
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.letter import Issue
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.failures import DeliveryError, Refusal
from newsletter_svc.mail.message import Compiled, Mailbox, OutgoingMessage, UnsendableMessage
from newsletter_svc.mail.transport import Carrier, Transport
from newsletter_svc.subscribers.addresses import Address

MOST = 20
"""Addresses at once: who wants more wants a mailing."""
MARK = "[Test] "
HEADER = ("X-Newsletter-Test", "yes")


@dataclass(frozen=True)
class Proof:
    """What became of one copy; `reply` is what the mail server said, or why there is no reply."""

    address: str
    accepted: bool
    reply: str


def send(
    issue: Issue, addresses: Sequence[Address], *, press: Press, transport: Transport, sender: str, now: datetime
) -> list[Proof]:
    """Send a copy to each address, from the envelope sender `sender`. Needs no database and leaves no trace in it."""
    marked = replace(issue, rendered=replace(issue.rendered, subject=MARK + issue.rendered.subject))
    compiled = letter.compile_issue(
        marked, composer=press.composer, mail_domain=press.message_domain, extra_headers=(HEADER,)
    )
    proofs: list[Proof] = []
    try:
        with transport.connect() as carrier:
            for address in addresses:
                proofs.append(_send_one(carrier, compiled, address, press=press, sender=sender, now=now))
    except DeliveryError as error:
        # It says nothing of one address, so it holds for all that are left.
        proofs += [Proof(address.text, accepted=False, reply=error.text) for address in addresses[len(proofs) :]]
    return proofs


def _send_one(
    carrier: Carrier, compiled: Compiled, address: Address, *, press: Press, sender: str, now: datetime
) -> Proof:
    message_id = f"<test.{token_hex(16)}@{press.message_domain}>"
    values = preview.values(press.links)
    try:
        content = compiled.join(recipient=Mailbox(address.text), message_id=message_id, date=now, values=values)
        message = OutgoingMessage(wire_address(sender), wire_address(address.text), message_id, content)
        return Proof(address.text, accepted=True, reply=carrier.send(message))
    except Refusal as refusal:
        return Proof(address.text, accepted=False, reply=refusal.text)
    except UnsendableMessage as error:
        return Proof(address.text, accepted=False, reply=error.reason)
