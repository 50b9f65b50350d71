"""`newsletter subscribers consent`: the proof of what one reader agreed to."""

import json
from dataclasses import asdict

import click

from newsletter_svc.auth import own_data
from newsletter_svc.auth.own_records import Agreement
from newsletter_svc.cli.options import json_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, people


@click.command()
@click.argument("email")
@json_option
@with_parts
def consent(parts: Parts, email: str, as_json: bool) -> None:
    """Print what a reader agreed to and took back: when, by which form, in which words, from where."""
    with parts.database.reading() as session:
        subscriber = people.find(session, addresses.parse(email))
        if subscriber is None:
            raise click.ClickException("There is no subscriber with this address.")
        found = own_data.agreements(session, subscriber.id)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], default=lambda moment: moment.isoformat()))
    else:
        click.echo("\n\n".join(map(_told, found)) or "Nothing is on record.")


def _told(each: Agreement) -> str:
    """A line that says what happened, and under it what is known of how."""
    details = {
        "asked": each.asked_at.isoformat(timespec="seconds") if each.asked_at else None,
        "on the page": each.asked_page,
        "asked from": each.asked_peer,
        "from": each.peer,
        "words": each.text,
        "source": each.source,
    }
    head = f"{each.at.isoformat(timespec='seconds')}  {each.act}  {each.way}  {', '.join(each.newsletters)}"
    return "\n".join([head, *(f"    {name}: {value}" for name, value in details.items() if value)])
