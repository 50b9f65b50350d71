"""What came back: one event whoever told of it, and the policy that says what it does to an address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter_svc.db import delete_where, insert_if_absent
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Bounce, BounceKind
from newsletter_svc.delivery.suppressions import Reason
from newsletter_svc.delivery.verdicts import Verdict, judge
from newsletter_svc.mail.replies import Reply

KEEP = timedelta(days=180)
"""For so long an event is known again when it is told once more."""

log = structlog.get_logger()


class Source(StrEnum):
    """Who told of it."""

    SMTP = "smtp"
    """The mail server, as it refused the mail."""
    DSN = "dsn"
    """A report that other mail servers sent later (RFC 3464)."""
    TEXT = "text"
    """One that only people were meant to read."""
    ARF = "arf"
    """A mailbox provider, on behalf of a reader (RFC 5965)."""
    MAILGUN = "mailgun"
    POSTMARK = "postmark"
    SENDGRID = "sendgrid"
    SES = "ses"


@dataclass(frozen=True)
class BounceEvent:
    """A mail that came back, or a complaint. `id` is the same however often it is told."""

    id: str
    kind: BounceKind
    email: str
    """Empty where the reader was erased."""
    message: str
    """Which message it was, such as `delivery:47`."""
    status: str | None
    """The enhanced status code, such as `5.1.1`, or the kind of complaint."""
    source: Source
    at: datetime


class Rule(NamedTuple):
    """An address is suppressed for this reason when so many different messages came back in this time."""

    reason: Reason
    messages: int = 1
    within: timedelta = KEEP


POLICY: Mapping[BounceKind, Rule] = {
    BounceKind.HARD: Rule(Reason.HARD_BOUNCE),
    BounceKind.SOFT: Rule(Reason.SOFT_BOUNCES, messages=5, within=timedelta(days=14)),
    BounceKind.COMPLAINT: Rule(Reason.COMPLAINT),
}
NO_SUCH_DOMAIN = "5.1.2"
BY_STATUS: Mapping[str | None, Rule] = {
    # A domain that cannot be found may be a name server's bad hour; the second time it is gone.
    NO_SUCH_DOMAIN: Rule(Reason.HARD_BOUNCE, messages=2, within=timedelta(days=14)),
}
OURS = re.compile(r"4\.7\.[23]\d")
"""Gmail's words for a sender that it mistrusts: they say nothing of the reader."""


class Complained(Protocol):
    """What a complaint means to the features: whoever is at this address has had enough of newsletters."""

    def __call__(self, session: Session, email: str, *, now: datetime) -> None: ...


class Outcome(StrEnum):
    """What an event changed."""

    SUPPRESSED = "suppressed"
    COUNTED = "counted"
    """It is on record; some more of its kind, and the address is suppressed."""
    REPEATED = "repeated"
    """It was on record already."""
    NOBODYS = "nobodys"
    """It is on record without the address, whose reader was erased while the mail was under way."""


def kind_of(reply: Reply) -> BounceKind | None:
    """What a refusal says of the address; None where it speaks of us, or of nothing that lasts."""
    status = reply.enhanced or ""
    if status in BY_STATUS:
        return BounceKind.HARD
    if OURS.fullmatch(status):
        return None
    return {Verdict.HARD: BounceKind.HARD, Verdict.SOFT: BounceKind.SOFT}.get(judge(reply))


def of_delivery(
    delivery_id: int, email: str, *, kind: BounceKind, status: str | None, source: Source, at: datetime
) -> BounceEvent:
    """The event that a delivery of ours came back: one for each kind, by whatever way it is told."""
    message = f"delivery:{delivery_id}"
    return BounceEvent(f"{message}:{kind}", kind, email, message, status, source, at)


def record(session: Session, event: BounceEvent, *, now: datetime) -> Outcome:
    """Put a bounce on record and do to its address what the policy says. For complaints there is `take`."""
    outcome = _record(session, event, now=now)
    log.info("bounce", message=event.message, kind=event.kind, status=event.status, source=event.source, what=outcome)
    return outcome


def take(session: Session, event: BounceEvent, *, complained: Complained, now: datetime) -> Outcome:
    """The same for every kind of event; a complaint is also told to the features."""
    outcome = record(session, event, now=now)
    if event.kind is BounceKind.COMPLAINT and outcome not in (Outcome.REPEATED, Outcome.NOBODYS):
        complained(session, event.email, now=now)
    return outcome


def purge(session: Session, *, now: datetime) -> int:
    """Forget the events that are too old to count or to be told again; how many."""
    return delete_where(session, Bounce, Bounce.at < now - KEEP)


def _record(session: Session, event: BounceEvent, *, now: datetime) -> Outcome:
    values = {
        "event_id": event.id,
        "kind": event.kind,
        "email_key": event.email.lower(),
        "message": event.message,
        "status": event.status,
        "source": event.source.value,
        "at": event.at,
        "is_forgiven": not event.email,
    }
    if not insert_if_absent(session, Bounce, values, unique=["event_id"]):
        return Outcome.REPEATED
    if not event.email:
        return Outcome.NOBODYS
    rule = BY_STATUS.get(event.status) or POLICY[event.kind]
    if rule.messages > 1 and _messages(session, event, since=now - rule.within) < rule.messages:
        return Outcome.COUNTED
    suppressions.add(session, event.email, reason=" ".join(filter(None, (rule.reason, event.status))), now=now)
    return Outcome.SUPPRESSED


def _messages(session: Session, event: BounceEvent, *, since: datetime) -> int:
    """How many different messages to this address came back for the same reason."""
    same = Bounce.status == event.status if event.status in BY_STATUS else Bounce.kind == event.kind
    counted = select(func.count(Bounce.message.distinct())).where(
        Bounce.email_key == event.email.lower(), Bounce.at >= since, same, Bounce.is_forgiven.is_(False)
    )
    return session.scalars(counted).one()
