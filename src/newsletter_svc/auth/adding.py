"""Adding one reader by an operator's hand: by the rules of an import, and with a mail where consent is still owed."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from newsletter_svc.auth import asking
from newsletter_svc.auth.lifetimes import Lifetimes
from newsletter_svc.auth.models import Door
from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers import import_plans, import_writes, importing, people, subscriptions
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.csv_file import Record
from newsletter_svc.subscribers.import_plans import RowOutcome, Terms, Wanted
from newsletter_svc.subscribers.importing import NotTaken


class NotAdded(NewsletterError):
    """What is asked for cannot be, or must not be; the text says why."""


class Added(NamedTuple):
    """What became of it."""

    address: Address
    outcome: RowOutcome
    must_confirm: bool
    """A mail asks the reader to say yes."""


def add(
    session: Session,
    email: str,
    *,
    name: str,
    newsletters: str,
    terms: Terms,
    message_domain: str,
    lifetimes: Lifetimes,
) -> Added:
    """Add a reader, or what is new of one. `newsletters` are slugs as in a list. Raises NotAdded.

    Without recorded consent (`terms.confirmed`) it is as if the reader had filled in the form.
    """
    try:
        row = importing.check(Record(0, email, name, newsletters), terms=terms)
    except NotTaken as reason:
        raise NotAdded(f"{email}: {reason}.") from reason
    made = import_plans.plan(session, [row], terms=terms)
    for refusal in made.refusals:
        raise NotAdded(f"{refusal.email} {refusal.reason}.")
    import_writes.carry_out(session, made, terms=terms)
    must_confirm = _must_confirm(session, row)
    if must_confirm:
        _ask(session, row, terms, message_domain=message_domain, lifetimes=lifetimes)
    return Added(row.address, made.outcomes[0], must_confirm)


def _must_confirm(session: Session, row: Wanted) -> bool:
    """Whether this reader still has to say yes to something that the row wants."""
    found = people.find(session, row.address)
    return found is None or not (
        found.is_known and row.newsletter_ids <= subscriptions.confirmed_ids(session, found.id)
    )


def _ask(session: Session, row: Wanted, terms: Terms, *, message_domain: str, lifetimes: Lifetimes) -> None:
    slugs = sorted(terms.newsletters[each] for each in row.newsletter_ids)
    asking.request_link(
        session,
        asking.Request(Door.SUBSCRIBE, row.address, name=row.name, newsletters=slugs),
        keyring=terms.keyring,
        message_domain=message_domain,
        lifetimes=lifetimes,
        now=terms.now,
    )
