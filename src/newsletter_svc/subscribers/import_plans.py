"""What an import comes to: what a list says, held against what is known. Looking only, nothing here writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.delivery.models import Suppression
from newsletter_svc.subscribers import erased, newsletters
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.consents import BY_IMPORTING, Origin
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus
from newsletter_svc.tokens import Keyring


class RowOutcome(StrEnum):
    """What became of a row; each has one."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REPEATED = "repeated"
    """The address stood on an earlier line; what this one says was added to that."""
    REFUSED = "refused"


class Wanted(NamedTuple):
    """One row, checked: who is to receive which newsletters."""

    line: int
    address: Address
    name: str
    newsletter_ids: frozenset[int]
    is_repeated: bool = False


class Refusal(NamedTuple):
    """A row of which not all was done, and why."""

    line: int
    email: str
    reason: str


class Known(NamedTuple):
    """A subscriber that is there already."""

    id: int
    name: str
    is_confirmed: bool


@dataclass(frozen=True)
class Terms:
    """What holds for all rows of an import."""

    confirmed: bool
    """Whether the consent of everybody on the list is on record elsewhere."""
    newsletters: Mapping[int, str]
    """Slugs by id."""
    keyring: Keyring
    now: datetime
    origin: Origin = BY_IMPORTING
    """Goes on record with a consent that is taken as given."""

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The other way round."""
        return {slug: newsletter_id for newsletter_id, slug in self.newsletters.items()}


def terms(session: Session, *, confirmed: bool, keyring: Keyring, origin: Origin, now: datetime) -> Terms:
    """The terms of an import into the newsletters that there are."""
    slugs = {each.id: each.slug for each in newsletters.listed(session)}
    return Terms(confirmed=confirmed, newsletters=slugs, keyring=keyring, origin=origin, now=now)


@dataclass(frozen=True)
class Step:
    """What is to be done for one row."""

    row: Wanted
    known: Known | None
    newsletter_ids: frozenset[int]
    """Those that were not left."""
    outcome: RowOutcome


@dataclass
class Plan:
    """What a chunk leads to. Making it changes nothing."""

    steps: list[Step] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    outcomes: list[RowOutcome] = field(default_factory=list)


def plan(session: Session, rows: Sequence[Wanted], *, terms: Terms) -> Plan:
    """What becomes of these rows, whose addresses are all different. Raises erased.KeyLost."""
    keys = [row.address.key for row in rows]
    suppressed = _suppressed(session, keys)
    known = _known(session, keys)
    proved = {key for key, each in known.items() if each.is_confirmed}
    # Who came back of their own accord is a reader like others; a form that anybody can fill in does not show that.
    gone = erased.among(session, (key for key in keys if key not in proved), keyring=terms.keyring)
    standing = _standing(session, [each.id for each in known.values()])
    made = Plan()
    for row in rows:
        key = row.address.key
        refusal = f"is suppressed: {suppressed[key]}" if key in suppressed else "was erased" if key in gone else None
        if refusal is None:
            _add_step(made, row, known.get(key), standing, terms)
        else:
            _refuse(made, row, refusal)
    return made


def _add_step(
    made: Plan, row: Wanted, known: Known | None, standing: Mapping[tuple[int, int], SubscriptionStatus], terms: Terms
) -> None:
    status = {each: standing.get((known.id, each)) if known else None for each in row.newsletter_ids}
    left = {each for each, found in status.items() if found is SubscriptionStatus.UNSUBSCRIBED}
    rest = row.newsletter_ids - left
    step = Step(row, known, rest, _outcome(row, known, [status[each] for each in rest], terms))
    if known is None or rest:
        made.steps.append(step)
    if left:
        names = ", ".join(sorted(terms.newsletters[each] for each in left))
        _refuse(made, row, f"has unsubscribed from {names}")
    else:
        made.outcomes.append(step.outcome)


def _refuse(made: Plan, row: Wanted, reason: str) -> None:
    made.refusals.append(Refusal(row.line, row.address.text, reason))
    made.outcomes.append(RowOutcome.REFUSED)


def _outcome(
    row: Wanted, known: Known | None, statuses: Iterable[SubscriptionStatus | None], terms: Terms
) -> RowOutcome:
    if row.is_repeated:
        return RowOutcome.REPEATED
    if known is None:
        return RowOutcome.ADDED
    aim = {SubscriptionStatus.CONFIRMED} | (set() if terms.confirmed else {SubscriptionStatus.UNCONFIRMED})
    is_done = all(status in aim for status in statuses) and (known.is_confirmed or not terms.confirmed)
    gets_name = bool(row.name) and not known.name
    return RowOutcome.UNCHANGED if is_done and not gets_name else RowOutcome.CHANGED


def _suppressed(session: Session, keys: Sequence[str]) -> dict[str, str]:
    found = select(Suppression.email_key, Suppression.reason).where(Suppression.email_key.in_(keys))
    return {row.email_key: row.reason for row in session.connection().execute(found)}


def _known(session: Session, keys: Sequence[str]) -> dict[str, Known]:
    columns = (Subscriber.email_key, Subscriber.id, Subscriber.name, Subscriber.confirmed_at)
    found = session.connection().execute(select(*columns).where(Subscriber.email_key.in_(keys)))
    return {row.email_key: Known(row.id, row.name, row.confirmed_at is not None) for row in found}


def _standing(session: Session, subscriber_ids: Sequence[int]) -> dict[tuple[int, int], SubscriptionStatus]:
    columns = (Subscription.subscriber_id, Subscription.newsletter_id, Subscription.status)
    found = session.connection().execute(select(*columns).where(Subscription.subscriber_id.in_(subscriber_ids)))
    return {(row.subscriber_id, row.newsletter_id): row.status for row in found}
