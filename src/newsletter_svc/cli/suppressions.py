"""`newsletter suppressions`: who is not written to, and why."""

import csv
import json
import sys
from collections.abc import Iterator

import click

from newsletter_svc.cli.options import json_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.delivery import suppressions as stopped
from newsletter_svc.delivery.models import Suppression
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses

COLUMNS = ("email", "reason", "scope", "since")
PAGE = 1_000


@click.group()
def suppressions() -> None:
    """See which addresses are not written to, and write to one again."""


@suppressions.command("list")
@json_option
@with_parts
def list_(parts: Parts, as_json: bool) -> None:
    """Print the addresses that bounced or complained, oldest first: CSV, or with --json an object on each line."""
    if as_json:
        for row in _rows(parts):
            click.echo(json.dumps(dict(zip(COLUMNS, row, strict=True))))
        return
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(_rows(parts))


@suppressions.command()
@click.argument("email")
@with_parts
def lift(parts: Parts, email: str) -> None:
    """Write to an address again, and forget how often it bounced.

    A complaint also ended its subscriptions: the reader has to subscribe again.
    """
    key = addresses.parse(email).key
    with parts.database.transaction() as session:
        was_suppressed = stopped.lift(session, key)
    if not was_suppressed:
        raise click.ClickException("This address is not suppressed.")
    click.echo("The address is written to again.")


def _rows(parts: Parts) -> Iterator[tuple[str, ...]]:
    """Page by page, so that a long list takes no more memory than a short one."""
    after = 0
    while True:
        with parts.database.reading() as session:
            page = stopped.listed(session, after=after, limit=PAGE)
        yield from map(_row, page)
        if len(page) < PAGE:
            return
        after = page[-1].id


def _row(found: Suppression) -> tuple[str, ...]:
    return found.email_key, found.reason, found.scope.value, found.created_at.isoformat(timespec="seconds")
