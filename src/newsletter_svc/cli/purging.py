"""`newsletter purge`: for cron, once a day."""

import json

import click

from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.jobs import purging
from newsletter_svc.parts import Parts


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@with_parts
def purge(parts: Parts, as_json: bool) -> None:
    """Throw away what is no longer needed, and say how much that was. For cron, once a day; nobody gets a mail."""
    counts = purging.purge(parts.database, parts.settings, now=utcnow())
    if as_json:
        click.echo(json.dumps(counts))
        return
    for what, count in counts.items():
        click.echo(f"{what.replace('_', ' ').capitalize()}: {count}")
