"""What an import writes: people, their names, their subscriptions, each a chunk at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import change, insert_into
from newsletter_svc.subscribers import consents
from newsletter_svc.subscribers.import_plans import Plan, RowOutcome, Step, Terms
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus


def carry_out(session: Session, made: Plan, *, terms: Terms) -> None:
    """Do what was planned, in the same transaction."""
    ids = _add_people(session, made.steps, terms)
    ids |= {step.row.address.key: step.known.id for step in made.steps if step.known}
    _fill_names(session, made.steps)
    if terms.confirmed:
        pending = [ids[step.row.address.key] for step in made.steps if step.known and not step.known.is_confirmed]
        _confirm_people(session, pending, now=terms.now)
    _subscribe(session, made.steps, ids, terms)
    if terms.confirmed:
        _record_consents(session, made.steps, ids, terms)


def _record_consents(session: Session, steps: Sequence[Step], ids: Mapping[str, int], terms: Terms) -> None:
    """A list that is taken in once more proves nothing new."""
    changed = [step for step in steps if step.newsletter_ids and step.outcome is not RowOutcome.UNCHANGED]
    wishes = [(ids[step.row.address.key], step.newsletter_ids) for step in changed]
    consents.given_by_many(session, wishes, slugs=terms.newsletters, origin=terms.origin, now=terms.now)


def _add_people(session: Session, steps: Sequence[Step], terms: Terms) -> dict[str, int]:
    """Rows for who is new; return their ids by address. Whoever comes by the front door just now is left as is."""
    # In one order, so that two imports at once wait for each other and never in a ring.
    new = sorted((step.row for step in steps if step.known is None), key=lambda row: row.address.key)
    if not new:
        return {}
    values = [
        {
            "email": row.address.text,
            "email_key": row.address.key,
            "name": row.name,
            "created_at": terms.now,
            "confirmed_at": terms.now if terms.confirmed else None,
        }
        for row in new
    ]
    statement = insert_into(session.get_bind().dialect.name, Subscriber)
    session.connection().execute(statement.on_conflict_do_nothing(index_elements=["email_key"]), values)
    keys = [row.address.key for row in new]
    found = session.connection().execute(
        select(Subscriber.email_key, Subscriber.id).where(Subscriber.email_key.in_(keys))
    )
    return {row.email_key: row.id for row in found}


def _fill_names(session: Session, steps: Sequence[Step]) -> None:
    """A name where there is none; the one that a reader gave stays."""
    names = [
        {"subscriber_id": step.known.id, "new_name": step.row.name}
        for step in steps
        if step.known and step.row.name and not step.known.name
    ]
    if names:
        nameless = update(Subscriber).where(Subscriber.id == bindparam("subscriber_id"), Subscriber.name == "")
        session.connection().execute(nameless.values(name=bindparam("new_name")), names)


def _confirm_people(session: Session, subscriber_ids: Sequence[int], *, now: datetime) -> None:
    if subscriber_ids:
        pending = update(Subscriber).where(Subscriber.id.in_(subscriber_ids), Subscriber.confirmed_at.is_(None))
        change(session, pending.values(confirmed_at=now))


def _subscribe(session: Session, steps: Sequence[Step], ids: Mapping[str, int], terms: Terms) -> None:
    pairs = sorted((ids[step.row.address.key], each) for step in steps for each in step.newsletter_ids)
    if not pairs:
        return
    status = SubscriptionStatus.CONFIRMED if terms.confirmed else SubscriptionStatus.UNCONFIRMED
    values = {"status": status, "created_at": terms.now, "confirmed_at": terms.now if terms.confirmed else None}
    statement = insert_into(session.get_bind().dialect.name, Subscription).on_conflict_do_nothing(
        index_elements=["subscriber_id", "newsletter_id"]
    )
    rows = [{"subscriber_id": subscriber_id, "newsletter_id": each, **values} for subscriber_id, each in pairs]
    session.connection().execute(statement, rows)
    if terms.confirmed:
        for newsletter_id, subscriber_ids in _by_newsletter(pairs):
            _confirm_subscriptions(session, newsletter_id, subscriber_ids, now=terms.now)


def _by_newsletter(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    grouped: dict[int, list[int]] = {}
    for subscriber_id, newsletter_id in pairs:
        grouped.setdefault(newsletter_id, []).append(subscriber_id)
    yield from sorted(grouped.items())


def _confirm_subscriptions(session: Session, newsletter_id: int, ids: Sequence[int], *, now: datetime) -> None:
    pending = update(Subscription).where(
        Subscription.newsletter_id == newsletter_id,
        Subscription.subscriber_id.in_(ids),
        Subscription.status == SubscriptionStatus.UNCONFIRMED,
    )
    change(session, pending.values(status=SubscriptionStatus.CONFIRMED, confirmed_at=now))
