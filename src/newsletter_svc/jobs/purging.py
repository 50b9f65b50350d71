"""Throwing away what is no longer needed, step by step: once a day, by cron or by beat."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.auth import address_changes, purging
from newsletter_svc.billing import events, updates
from newsletter_svc.db import Database
from newsletter_svc.delivery import bounces
from newsletter_svc.delivery import purging as deliveries
from newsletter_svc.limits import counters
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import consents, erased
from newsletter_svc.tokens import Keyring

Purge = Callable[[Session], int]


def purge(database: Database, settings: Settings, *, now: datetime) -> dict[str, int]:
    """Throw away; return how many rows of each kind that were. Nobody gets a mail.

    What has to be kept for good is sealed anew where the secret keys have been turned. Raises KeyLost.
    """
    counts = {what: _repeat(database, step) for what, step in _steps(settings, now).items()}
    with database.transaction() as session:
        erased.reseal(session, keyring=Keyring(settings.secret_keys, environment=settings.env))
    return counts


def _steps(settings: Settings, now: datetime) -> Mapping[str, Purge]:
    unconfirmed = timedelta(days=settings.unconfirmed_days)
    retention = timedelta(days=settings.audit_retention_days)
    return {
        "unconfirmed_signups": partial(purging.unconfirmed, older_than=unconfirmed, now=now),
        "magic_links": partial(purging.links, now=now),
        "address_changes": partial(address_changes.purge, keep=purging.KEEP_LINKS, now=now),
        "sessions": partial(purging.sessions, now=now),
        "consents": partial(consents.purge, retention=timedelta(days=settings.consent_retention_days), now=now),
        "security_events": partial(audit.purge, retention=retention, now=now),
        "deliveries": partial(deliveries.purge, retention=timedelta(days=settings.delivery_retention_days), now=now),
        "bounces": partial(bounces.purge, now=now),
        "rate_counters": partial(counters.purge, now=now),
        "billing_updates": partial(updates.purge, now=now),
        "stripe_events": partial(events.purge, now=now),
    }


def _repeat(database: Database, step: Purge) -> int:
    """Repeat a step until it finds nothing, each time in a transaction of its own, so that requests get in between."""
    total = 0
    while True:
        with database.transaction() as session:
            count = step(session)
        if not count:
            return total
        total += count
