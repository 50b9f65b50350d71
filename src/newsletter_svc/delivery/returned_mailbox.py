"""A mailbox to which mail comes back: each message taken in, and only then marked as done."""

from collections.abc import Iterator
from typing import NamedTuple

import structlog
from sqlalchemy.exc import DBAPIError

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import returned
from newsletter_svc.delivery.bounces import Complained
from newsletter_svc.delivery.returned import Ignored, Reading
from newsletter_svc.mail.fetching import Fetched
from newsletter_svc.tokens import Keyring

log = structlog.get_logger()


class Taken(NamedTuple):
    """What became of one message, by the name that the mailbox has for it."""

    name: str
    reading: Reading


def take_all(
    messages: Iterator[Fetched], *, database: Database, keyring: Keyring, complained: Complained
) -> Iterator[Taken]:
    """Take in every message, each in a transaction of its own. Raises DBAPIError and MailboxTrouble.

    Whoever is interrupted reads the last one again, which changes nothing. One over which we stumble is set aside for
    people to look at, and keeps none of the others.
    """
    for message in messages:
        try:
            with database.transaction() as session:
                reading = returned.take(session, message.raw, keyring=keyring, complained=complained, now=utcnow())
        except DBAPIError:
            raise
        except Exception as error:
            # What strangers write may be anything; the class only, since a text may quote addresses.
            log.error("returned_mail_unreadable", message=message.name, error=type(error).__name__)
            reading = Reading(Ignored.UNREADABLE)
            message.set_aside()
        else:
            message.done()
        yield Taken(message.name, reading)
