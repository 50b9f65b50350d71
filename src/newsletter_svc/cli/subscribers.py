"""`newsletter subscribers`: bringing readers in and out, as lists and one by one."""

import click

from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, erasing, people


@click.group()
def subscribers() -> None:
    """Bring readers in, take them along, forget them."""


@subscribers.command()
@click.argument("email")
@with_parts
def erase(parts: Parts, email: str) -> None:
    """Forget a subscriber for good, in every table; what is owed to the address is not sent.

    A keyed hash stays, so that no list brings the address back. Whoever wants to can subscribe again at any time.
    """
    address = addresses.parse(email)
    with parts.database.transaction() as session:
        subscriber = people.find(session, address)
        if subscriber is None:
            raise click.ClickException("There is no subscriber with this address.")
        erasing.erase(session, subscriber.id, by=erasing.By.OPERATOR, keyring=parts.keyring, now=utcnow())
    click.echo("Erased.")
