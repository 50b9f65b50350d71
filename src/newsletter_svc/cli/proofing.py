"""`newsletter digest test`: a copy of an issue for those who make it."""

import json
from dataclasses import asdict

import click

from newsletter_svc.cli.options import issue_number, json_option, newsletter_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import preview, proofs
from newsletter_svc.digests.proofs import Proof
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from newsletter_svc.subscribers.addresses import Address, BadAddress, parse


@click.command()
@newsletter_option
@click.option(
    "--digest", "digest_id", type=issue_number, metavar="NUMBER", help="An issue that was made, by its number."
)
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@with_parts
def test(parts: Parts, slug: str, digest_id: int | None, addresses: tuple[str, ...], as_json: bool) -> None:
    """Send what `send` would send now, marked as a test, to these addresses; no reader gets anything.

    Nothing of it is counted anywhere. Exit 1 if a mail server did not accept one of the copies.
    """
    checked = _checked(addresses)
    now, tz, press = utcnow(), parts.settings.timezone, parts.press
    with parts.database.reading() as session:
        newsletter = newsletters.get(session, slug)
        issue = preview.chosen(session, newsletter, digest_id, tz=tz, press=press, now=now)
    if issue is None:
        raise click.ClickException(
            f"{slug}: nothing new, so there is nothing to try; --digest NUMBER takes an issue that was made."
        )
    sender = parts.settings.bounce_address or parts.settings.mail_default_sender
    sent = proofs.send(issue, checked, press=press, transport=parts.mail, sender=sender, now=now)
    click.echo(json.dumps([asdict(proof) for proof in sent]) if as_json else "\n".join(map(_sentence, sent)))
    if not all(proof.accepted for proof in sent):
        raise SystemExit(1)


def _checked(addresses: tuple[str, ...]) -> list[Address]:
    """Each address once. Raises UsageError."""
    found: dict[str, Address] = {}
    for raw in addresses:
        try:
            address = parse(raw)
        except BadAddress as error:
            raise click.UsageError(f"{raw!r}: {error}") from error
        found[address.key] = address
    if len(found) > proofs.MOST:
        raise click.UsageError(f"At most {proofs.MOST} addresses: for more there are newsletters.")
    return list(found.values())


def _sentence(proof: Proof) -> str:
    return f"{proof.address}: {'accepted' if proof.accepted else 'NOT accepted'} ({proof.reply})"
