"""What every command is handed: the parts of the service, made when a command first asks for them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from newsletter_svc import migrations
from newsletter_svc.errors import NewsletterError
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings


@dataclass
class Program:
    """The service as a command sees it. `newsletter --help` needs no settings, so nothing is made before it is used."""

    load_settings: Callable[[], Settings]
    assemble: Callable[[Settings], Parts]

    @cached_property
    def settings(self) -> Settings:
        return self.load_settings()

    @cached_property
    def parts(self) -> Parts:
        return self.assemble(self.settings)


def with_parts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the service's parts to a command as its first argument; what the service foresees becomes exit 1."""

    @click.pass_obj
    @wraps(command)
    def run(program: Program, /, *arguments: Any, **options: Any) -> Any:
        parts = program.parts
        try:
            return command(parts, *arguments, **options)
        except NewsletterError as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            raise click.ClickException(_database_trouble(parts)) from error

    return run


def _database_trouble(parts: Parts) -> str:
    """What to do about it. The database's own words quote rows, and rows hold addresses."""
    try:
        with parts.database.reading() as session:
            if not migrations.is_current(session.connection()):
                return "The database is not up to date. Run `newsletter db upgrade` first."
    except DBAPIError:
        return "The database of DATABASE_URL cannot be reached."
    return "The database refused this; it may be locked by another process. Nothing was changed: try again."
