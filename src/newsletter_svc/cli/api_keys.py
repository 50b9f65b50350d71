"""`newsletter api-key`: keys for operators' programs."""

import click

from newsletter_svc.auth import api_keys
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts


@click.group("api-key")
def api_key() -> None:
    """Make, list and revoke API keys."""


@api_key.command()
@click.option("--scope", "scopes", multiple=True, required=True, help="What it is good for, such as digests:send.")
@with_parts
def create(parts: Parts, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, once."""
    with parts.database.transaction() as session:
        key, secret = api_keys.create(session, scopes, now=utcnow())
    click.echo(f"Key {key.id} for {', '.join(key.scopes)}. It is shown only now:", err=True)
    click.echo(secret)


@api_key.command("list")
@with_parts
def list_keys(parts: Parts) -> None:
    """List the keys by number; the keys themselves are not kept."""
    with parts.database.reading() as session:
        for key in api_keys.listed(session):
            state = "revoked" if key.revoked_at else "good"
            click.echo(f"{key.id}\t{state}\t{','.join(key.scopes)}\tmade {key.created_at:%Y-%m-%d}")


@api_key.command()
@click.argument("number", type=int)
@with_parts
def revoke(parts: Parts, number: int) -> None:
    """End a key for good."""
    with parts.database.transaction() as session:
        if not api_keys.revoke(session, number, now=utcnow()):
            raise click.ClickException(f"There is no living key {number}.")
    click.echo(f"Key {number} is revoked.")
