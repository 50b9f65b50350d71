"""`newsletter db`: bring the database to the newest form."""

import click

from newsletter_svc import migrations
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@with_parts
def upgrade(parts: Parts) -> None:
    """Create or migrate the tables, and make the default newsletter if there is none."""
    migrations.upgrade(parts.database)
    with parts.database.transaction() as session:
        newsletters.ensure_default(session, words=parts.words, now=utcnow())
    click.echo("The database is up to date.")
