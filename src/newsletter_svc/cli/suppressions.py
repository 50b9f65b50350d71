"""`newsletter suppressions`: who is not written to, and why."""

import json

import click

from newsletter_svc.cli.options import json_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.delivery import suppressions as stopped
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, suppression_lists
from newsletter_svc.subscribers.spreadsheets import table


@click.group()
def suppressions() -> None:
    """See which addresses are not written to, and write to one again."""


@suppressions.command("list")
@json_option
@with_parts
def list_(parts: Parts, as_json: bool) -> None:
    """Print the addresses that bounced or complained, oldest first: CSV, or with --json an object on each line."""
    if as_json:
        for row in suppression_lists.exported(parts.database):
            click.echo(json.dumps(dict(zip(suppression_lists.EXPORTED, row, strict=True))))
        return
    for text in table(suppression_lists.EXPORTED, suppression_lists.exported(parts.database)):
        click.echo(text, nl=False)


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
