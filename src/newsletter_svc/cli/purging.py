"""`newsletter purge`: for cron, once a day."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import click
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.auth import purging
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.limits import counters
from newsletter_svc.parts import Parts

Purge = Callable[[Session], int]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@with_parts
def purge(parts: Parts, as_json: bool) -> None:
    """Throw away what is no longer needed, and say how much that was. For cron, once a day; nobody gets a mail."""
    counts = {what: _run(parts, step) for what, step in _steps(parts).items()}
    if as_json:
        click.echo(json.dumps(counts))
        return
    for what, count in counts.items():
        click.echo(f"{what.replace('_', ' ').capitalize()}: {count}")


def _steps(parts: Parts) -> dict[str, Purge]:
    settings, now = parts.settings, utcnow()
    unconfirmed = timedelta(days=settings.unconfirmed_days)
    retention = timedelta(days=settings.audit_retention_days)
    return {
        "unconfirmed_signups": partial(purging.unconfirmed, older_than=unconfirmed, now=now),
        "magic_links": partial(purging.links, now=now),
        "sessions": partial(purging.sessions, now=now),
        "security_events": partial(audit.purge, retention=retention, now=now),
        "rate_counters": partial(counters.purge, now=now),
    }


def _run(parts: Parts, step: Purge) -> int:
    """Repeat a step until it finds nothing, each time in a transaction of its own, so that requests get in between."""
    total = 0
    while True:
        with parts.database.transaction() as session:
            count = step(session)
        if not count:
            return total
        total += count
