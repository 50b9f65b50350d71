"""The mailbox of the settings to which bounces come: reached, believed, signed in to; no message is read."""

from collections.abc import Iterator

from newsletter_svc.doctor.findings import Finding, Topic, Verdict
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.mail import fetching
from newsletter_svc.mail.fetching import MailboxTrouble


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of BOUNCE_MAILBOX; nothing where there is none."""
    mailbox = setup.settings.bounce_mailbox
    if mailbox is None:
        return
    try:
        with fetching.opened(mailbox, limit=1, context=setup.tls):
            text = f"{mailbox.server} lets us read what comes back."
            yield Finding(Verdict.GOOD, Topic.MAILBOX, "BOUNCE_MAILBOX", text)
    except MailboxTrouble as trouble:
        yield Finding(Verdict.FAILURE, Topic.MAILBOX, "BOUNCE_MAILBOX", f"cannot be read. {trouble}")
