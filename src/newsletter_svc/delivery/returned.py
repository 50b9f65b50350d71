"""Mail that came back: which delivery it speaks of, and what it says of the reader's address.

A delivery is found by what only its recipient and the servers on the way could know: the envelope sender, which is
signed, or the Message-ID, which is random. A report that names neither changes nothing, whatever addresses it names.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from newsletter_svc.delivery import bounces, envelope
from newsletter_svc.delivery.bounces import Complained, Outcome, Source
from newsletter_svc.delivery.models import BounceKind, Delivery
from newsletter_svc.mail import reports
from newsletter_svc.mail.replies import Reply
from newsletter_svc.mail.reports import Block, Form, Report
from newsletter_svc.tokens import Keyring

FAILED = "failed"
REFUSED = 550
UNDEFINED = "5.0.0"
COMPLAINTS = frozenset({"abuse", "fraud"})
MOST_MESSAGE_IDS = 5
"""Looking for a Message-ID reads through the ledger: a report that lists many of them is none."""
_OUR_MESSAGE_ID = re.compile(r"<[0-9a-f]{32}@[^>]+>")

log = structlog.get_logger()


class Ignored(StrEnum):
    """Why a message changed nothing."""

    NOT_A_REPORT = "not_a_report"
    UNREADABLE = "unreadable"
    """A message over which our reading of it stumbled."""
    AUTOMATIC_REPLY = "automatic_reply"
    NOT_OURS = "not_ours"
    """It names no delivery of ours, or forged the name of one."""
    NOT_FINAL = "not_final"
    """Delayed, delivered, relayed or expanded."""
    NOT_THE_READER = "not_the_reader"
    """It is written for people, and does not name whom we wrote to."""
    NOT_THE_ADDRESS = "not_the_address"
    """It speaks of us or of our mail."""
    NOT_A_COMPLAINT = "not_a_complaint"
    ERASED = "erased"
    """The reader was erased since: there is no address left to suppress."""


@dataclass(frozen=True)
class Reading:
    """What became of one message."""

    result: Outcome | Ignored
    delivery_id: int | None = None
    kind: BounceKind | None = None
    status: str | None = None

    @property
    def is_ignored(self) -> bool:
        return isinstance(self.result, Ignored)


@dataclass(frozen=True)
class Finding:
    """What a report says of the address that a delivery went to."""

    kind: BounceKind
    status: str
    source: Source


def take(session: Session, raw: bytes, *, keyring: Keyring, complained: Complained, now: datetime) -> Reading:
    """Read one message that came to our envelope senders' address, and do what the policy says. Raises nothing."""
    reading = _take(session, reports.read(raw), keyring=keyring, complained=complained, now=now)
    if reading.is_ignored:
        log.info("returned_mail_ignored", delivery=reading.delivery_id, why=reading.result)
    return reading


def _take(session: Session, report: Report, *, keyring: Keyring, complained: Complained, now: datetime) -> Reading:
    if report.form is Form.AUTOMATIC_REPLY:
        return Reading(Ignored.AUTOMATIC_REPLY)
    if report.form is Form.OTHER:
        return Reading(Ignored.NOT_A_REPORT)
    delivery = _delivery(session, report, keyring)
    if delivery is None:
        return Reading(Ignored.NOT_OURS)
    if not delivery.recipient:
        return Reading(Ignored.ERASED, delivery.id)
    found = finding(report, delivery.recipient.lower())
    if isinstance(found, Ignored):
        return Reading(found, delivery.id)
    event = bounces.of_delivery(
        delivery.id,
        delivery.recipient,
        kind=found.kind,
        status=found.status,
        source=found.source,
        at=min(report.written_at or now, now),
    )
    outcome = bounces.take(session, event, complained=complained, now=now)
    return Reading(outcome, delivery.id, found.kind, found.status)


def _delivery(session: Session, report: Report, keyring: Keyring) -> Row[int, str] | None:
    wanted = select(Delivery.id, Delivery.recipient)
    for address in report.envelopes:
        delivery_id = envelope.delivery_of(address, keyring=keyring)
        if delivery_id is not None:
            return session.execute(wanted.where(Delivery.id == delivery_id)).one_or_none()
    ours = [found for found in report.message_ids if _OUR_MESSAGE_ID.fullmatch(found)][:MOST_MESSAGE_IDS]
    return session.execute(wanted.where(Delivery.message_id.in_(ours)).limit(1)).one_or_none() if ours else None


def finding(report: Report, recipient: str) -> Finding | Ignored:
    """What a report says of the address, in lower case, that a delivery went to; or why it says nothing of it."""
    if report.form is Form.FEEDBACK:
        if report.feedback not in COMPLAINTS:
            return Ignored.NOT_A_COMPLAINT
        return Finding(BounceKind.COMPLAINT, report.feedback, Source.ARF)
    # A mail that was forwarded is reported for an address that we never wrote to: then every block speaks of it.
    named = [block for block in report.blocks if recipient in block.recipients]
    if report.form is Form.TEXT:
        return _mildest(named, Source.TEXT) if named else Ignored.NOT_THE_READER
    return _mildest(named or list(report.blocks), Source.DSN)


def _mildest(blocks: list[Block], source: Source) -> Finding | Ignored:
    """What holds of all of them: of two places that a mail was forwarded to, one may be well."""
    if any(block.action != FAILED for block in blocks):
        return Ignored.NOT_FINAL
    softest: Finding | None = None
    for block in blocks:
        status = block.status or UNDEFINED
        kind = bounces.kind_of(Reply(REFUSED, status, ""))
        if kind is None:
            return Ignored.NOT_THE_ADDRESS
        if softest is None or kind is BounceKind.SOFT:
            softest = Finding(kind, status, source)
    return softest or Ignored.NOT_FINAL
