"""`newsletter subscribers`: bringing readers in and out, as lists and one by one."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from newsletter_svc.auth import adding
from newsletter_svc.cli.consents import consent
from newsletter_svc.cli.importing import telling
from newsletter_svc.cli.options import json_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.mail.headers import clean
from newsletter_svc.parts import Parts
from newsletter_svc.streams import outliving_the_terminal
from newsletter_svc.subscribers import (
    addresses,
    csv_file,
    erasing,
    exporting,
    import_plans,
    importing,
    newsletters,
    people,
)
from newsletter_svc.subscribers.consents import Origin
from newsletter_svc.subscribers.csv_file import BrokenFile, CsvFile
from newsletter_svc.subscribers.exporting import Written
from newsletter_svc.subscribers.import_plans import RowOutcome, Terms
from newsletter_svc.subscribers.models import Way

_CUT_SHORT = "The database stopped this. What went in stays; import the list again, and it goes on from there."
_LONGEST_FILE_NAME = 120
newsletter_options = click.option("--newsletter", "slugs", multiple=True, metavar="SLUG", help="May be given again.")
confirmed_option = click.option("--confirmed", is_flag=True, help="Their consent is on record already.")


@click.group()
def subscribers() -> None:
    """Bring readers in, take them along, forget them."""


@subscribers.command()
@click.argument("email")
@click.option("--name", default="", help="How to address the reader.")
@newsletter_options
@confirmed_option
@with_parts
def add(parts: Parts, email: str, name: str, slugs: tuple[str, ...], confirmed: bool) -> None:
    """Add a reader. Without --confirmed a mail asks for the consent, as if the reader had filled in the form."""
    with parts.database.transaction() as session:
        by_hand = Origin(Way.COMMAND, source="newsletter subscribers add --confirmed")
        added = adding.add(
            session,
            email,
            name=name,
            newsletters=" ".join(slugs),
            terms=_terms(parts, session, confirmed=confirmed, origin=by_hand),
            message_domain=parts.message_domain,
            lifetimes=parts.lifetimes,
        )
    parts.wake()
    asked = " A mail asks for the confirmation." if added.must_confirm else ""
    click.echo(f"{added.address.text}: {added.outcome}.{asked}")


@subscribers.command("import")
@click.argument("path", metavar="FILE.csv", type=click.Path(path_type=Path))
@confirmed_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@with_parts
def import_(parts: Parts, path: Path, confirmed: bool, dry_run: bool, as_json: bool) -> None:
    """Import readers from a CSV file with the columns email, name and newsletters, the last two as you like.

    Newsletters are slugs with a space, comma or semicolon between them; none means the default one. Each row that is
    refused is named with its line and the reason; the others go in, and the exit code is 1. Who is there already, has
    left, was suppressed or erased stays so. To import a list again is safe, also one that was cut short.
    """
    with outliving_the_terminal(), _opened(path) as file:
        with parts.database.reading() as session:
            terms = _terms(parts, session, confirmed=confirmed, origin=_of_file(path))
        with telling(file, confirmed=confirmed, dry_run=dry_run, as_json=as_json) as told:
            try:
                counts = importing.import_file(
                    parts.database, file, terms=terms, dry_run=dry_run, refuse=told.refuse, progress=told.progress
                )
            except DBAPIError as error:
                raise click.ClickException(_CUT_SHORT) from error
        click.echo(told.ending(counts))
    if counts[RowOutcome.REFUSED]:
        raise SystemExit(1)


@subscribers.command()
@click.option("--newsletter", "slug", metavar="SLUG", help="Only who gets this one.  [default: everybody]")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write.  [default: the standard output]")
@with_parts
def export(parts: Parts, slug: str | None, output: Path | None) -> None:
    """Export who gets a newsletter as CSV (UTF-8), in the form that `import` takes.

    Cells that a spreadsheet would work out begin with an apostrophe, which an import takes away again.
    """
    with parts.database.reading() as session:
        newsletter_id = newsletters.get(session, slug).id if slug else None
        with _written(output) as file:
            count = exporting.write(exporting.readers(session, newsletter_id=newsletter_id), file)
    if output is not None:
        click.echo(f"{count:,} {'reader' if count == 1 else 'readers'} written to {output}.")


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


subscribers.add_command(consent)


def _terms(parts: Parts, session: Session, *, confirmed: bool, origin: Origin) -> Terms:
    return import_plans.terms(session, confirmed=confirmed, keyring=parts.keyring, origin=origin, now=utcnow())


def _of_file(path: Path) -> Origin:
    """Which list it was, as the record of each consent names it."""
    name = clean(click.format_filename(path.name), limit=_LONGEST_FILE_NAME)
    return Origin(Way.IMPORT, source=f"newsletter subscribers import {name} --confirmed")


@contextmanager
def _opened(path: Path) -> Iterator[CsvFile]:
    try:
        with csv_file.opened(path) as file:
            yield file
    except BrokenFile as error:
        raise click.ClickException(f"{path}: {error} Nothing was imported.") from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error


@contextmanager
def _written(output: Path | None) -> Iterator[Written]:
    """Where the list goes: a file is there whole or not at all, and nobody else may read it."""
    if output is None:
        yield _StandardOutput()
        return
    unfinished = output.with_name(f"{output.name}.{os.getpid()}.part")
    try:
        unfinished.touch(mode=0o600, exist_ok=False)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(output)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


class _StandardOutput:
    """UTF-8 whatever the terminal's locale says: what a program writes there is for another program."""

    def __init__(self) -> None:
        self._stream = sys.stdout.buffer

    def write(self, text: str, /) -> None:
        self._stream.write(text.encode())
