"""`newsletter audit`: what happened around one subscriber's sign-in."""

import json
from collections.abc import Sequence

import click

from newsletter_svc import audit as trails
from newsletter_svc.audit import SecurityEvent
from newsletter_svc.cli.program import with_parts
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, people

COLUMNS = ("at", "event", "reason", "subject", "peer")


@click.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Print the trail as JSON.")
@with_parts
def audit(parts: Parts, email: str, as_json: bool) -> None:
    """Print one subscriber's security events, oldest first."""
    with parts.database.reading() as session:
        subscriber = people.find(session, addresses.parse(email))
        if subscriber is None:
            raise click.ClickException("There is no subscriber with this address.")
        rows = [_values(event) for event in trails.trail(session, subscriber.id)]
    if as_json:
        click.echo(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows]))
    else:
        click.echo(_table(rows) if rows else "Nothing is on record.")


def _values(event: SecurityEvent) -> tuple[str | None, ...]:
    return event.at.isoformat(timespec="seconds"), event.event.value, event.reason, event.subject, event.peer


def _table(rows: Sequence[tuple[str | None, ...]]) -> str:
    """A line for each event under the names of the columns, none of them folded: other programs may read it too."""
    filled = [COLUMNS, *(tuple(value or "-" for value in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in filled)
