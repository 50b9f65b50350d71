"""The whole examination: every check that concerns this deployment, side by side, in the order of their topics."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from urllib.parse import urlsplit

from newsletter_svc.doctor import (
    dkim_check,
    dmarc_check,
    mailbox_check,
    mx_check,
    ptr_check,
    reach_check,
    server_check,
    settings_check,
    spf_check,
)
from newsletter_svc.doctor.domains import is_for_development
from newsletter_svc.doctor.findings import Finding, Topic, Verdict
from newsletter_svc.doctor.lookups import NotAnswered
from newsletter_svc.doctor.setup import Setup, domain_of, domains_of
from newsletter_svc.settings import is_loopback

AT_ONCE = 8
"""Checks wait for others most of the time, and name servers that are down are waited for together."""

Check = Callable[[], Iterator[Finding]]


def examine(setup: Setup) -> list[Finding]:
    """Everything that there is to say."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(chain.from_iterable(pool.map(lambda check: check(), _checks(setup))))


def _checks(setup: Setup) -> Iterator[Callable[[], list[Finding]]]:
    yield _sound(Topic.SETTINGS, "settings", partial(settings_check.check, setup))
    if not is_loopback(urlsplit(setup.settings.public_url).hostname or ""):
        yield _sound(Topic.SETTINGS, "PUBLIC_URL", partial(reach_check.check, setup))
    yield _sound(Topic.SERVER, "MAIL_SERVER", partial(server_check.check, setup))
    yield _sound(Topic.MAILBOX, "BOUNCE_MAILBOX", partial(mailbox_check.check, setup))
    for sender in {domain_of(sender): sender for sender in setup.envelope_senders}.values():
        yield _in_dns(Topic.SPF, domain_of(sender), partial(spf_check.check, setup, sender))
    yield _sound(Topic.DKIM, setup.settings.dkim_domain or "DKIM_DOMAIN", partial(dkim_check.check, setup))
    for domain in domains_of(setup.senders):
        yield _in_dns(Topic.DMARC, domain, partial(dmarc_check.check, setup, domain))
    for domain in domains_of(setup.answered_addresses):
        yield _in_dns(Topic.MX, domain, partial(mx_check.check, setup.dns, domain))
    yield _sound(Topic.PTR, "MAIL_SERVER", partial(ptr_check.check, setup))


def _in_dns(topic: Topic, domain: str, check: Check) -> Callable[[], list[Finding]]:
    """A check of a domain's records; names of development have none."""
    if is_for_development(domain):
        text = "is a name for development, which nobody outside can look up; set MAIL_DEFAULT_SENDER."
        return lambda: [Finding(Verdict.UNCHECKED, topic, domain, text)]
    return _sound(topic, domain, check)


def _sound(topic: Topic, subject: str, check: Check) -> Callable[[], list[Finding]]:
    """A check that says so where the DNS does not answer: what could not be found out is not in order."""

    def findings() -> list[Finding]:
        found: list[Finding] = []
        try:
            for finding in check():
                found.append(finding)  # What was found before the DNS fell silent stays.
        except NotAnswered as error:
            found.append(Finding(Verdict.FAILURE, topic, subject, f"could not be checked: {error}."))
        return found

    return findings
