"""`newsletter keys`: turning the secret keys without breaking what they signed."""

import secrets

import click
from sqlalchemy import func, select

from newsletter_svc.auth.models import MagicLink
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import erased
from newsletter_svc.tokens import key_id


@click.group()
def keys() -> None:
    """Look after the secret keys."""


@keys.command()
@click.option("--keep", type=click.IntRange(min=0), help="How many of the present keys go on verifying. [default: all]")
@with_parts
def rotate(parts: Parts, keep: int | None) -> None:
    """Make a new key and print the value for SECRET_KEYS: the new key signs, the kept ones go on verifying.

    Unsubscribe links live as long as the mails they stand in, so a key is best kept for years.
    """
    present = parts.settings.secret_keys
    kept = present if keep is None else present[:keep]
    new = secrets.token_urlsafe(48)
    click.echo(f"New key {key_id(new)}; {len(kept)} of the present keys are kept.", err=True)
    for retired in present[len(kept) :]:
        click.echo(_loss(parts, key_id(retired)), err=True)
    click.echo("Set SECRET_KEYS to this in every process, then restart them:", err=True)
    click.echo(",".join((new, *kept)))


def _loss(parts: Parts, retired: str) -> str:
    with parts.database.reading() as session:
        waiting = session.scalar(
            select(func.count())
            .where(MagicLink.key_id == retired, MagicLink.used_at.is_(None))
            .where(MagicLink.expires_at > utcnow())
        )
        seals = erased.sealed_by(session) == retired
    first = (
        " Restart with all keys and run `newsletter purge` first: it still guards erased addresses." if seals else ""
    )
    return (
        f"Retiring key {retired} ends {waiting} magic links that could still be used, "
        f"and every unsubscribe link in the mails that it signed.{first}"
    )
