"""How an attempt ended, and what that makes of the delivery's row."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.delivery import bounces, marks, retries
from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import Claimed, Delivery, Lane
from newsletter_svc.delivery.verdicts import Verdict, judge, reason
from newsletter_svc.mail.failures import OutcomeUnknown, Refusal, ServerUnavailable
from newsletter_svc.mail.replies import Reply

log = structlog.get_logger()


def accepted(session: Session, delivery: Claimed, reply: str, *, now: datetime) -> None:
    marked = marks.sent(session, delivery, reply=reply, now=now)
    if marked is not None and marked.subscriber_id is not None and delivery.lane == Lane.TRANSACTIONAL:
        subject = f"delivery:{delivery.id}"
        whose = marked.subscriber_id
        audit.record(session, Event.SENT, reason=delivery.kind, subscriber_id=whose, subject=subject, now=now)
    log.info("delivery_sent", delivery=delivery.id, kind=delivery.kind, attempts=delivery.attempts)


def refused(session: Session, delivery: Claimed, refusal: Refusal, *, now: datetime) -> None:
    """The server spoke about this one message: later, never again, or never again to this address."""
    reply = refusal.reply or Reply(450, None, "")
    verdict = judge(reply)
    is_passing = verdict == Verdict.SOFT or (verdict == Verdict.TOO_LARGE and delivery.lane == Lane.BULK)
    again = retries.after_refusal(delivery, now=now) if is_passing else None
    if again is not None:
        marks.retry(session, delivery, reason=reason(reply), reply=str(reply), due_at=again)
    else:
        marks.failed(session, delivery, reason=reason(reply), reply=str(reply), now=now)
        _came_back(session, delivery, reply, now=now)
    log.info("delivery_refused", delivery=delivery.id, kind=delivery.kind, verdict=verdict, reason=reason(reply))


def _came_back(session: Session, delivery: Claimed, reply: Reply, *, now: datetime) -> None:
    kind = bounces.kind_of(reply)
    if kind is not None:
        # Asked again: who was erased while the mail was under way must not come on record by its bounce.
        email = session.scalar(select(Delivery.recipient).where(Delivery.id == delivery.id)) or ""
        event = bounces.of_delivery(delivery.id, email, kind=kind, status=reason(reply), source=Source.SMTP, at=now)
        bounces.record(session, event, now=now)


def not_carried(session: Session, delivery: Claimed, *, cause: str, now: datetime) -> None:
    """It came back from one connection after the other, and may be what broke them: tried again like a "not now"."""
    what = "connection_lost"
    again = retries.after_refusal(delivery, now=now)
    if again is not None:
        marks.retry(session, delivery, reason=what, reply=cause, due_at=again)
    else:
        marks.failed(session, delivery, reason=what, reply=cause, now=now)
    log.warning("delivery_not_carried", delivery=delivery.id, kind=delivery.kind, cause=cause)


def postponed(session: Session, deliveries: Sequence[Claimed], failure: ServerUnavailable, *, due_at: datetime) -> None:
    """The server could not be reached: everything stays owed, and nobody's attempts are counted."""
    marks.postpone(session, deliveries, reason="server_unavailable", reply=failure.text, due_at=due_at)
    log.warning("server_unavailable", stage=failure.stage, cause=failure.text, deliveries=len(deliveries))


def unanswered(
    session: Session, delivery: Claimed, failure: OutcomeUnknown, *, unknown_resend_seconds: int, now: datetime
) -> None:
    """Accepted or not, nobody knows."""
    again = retries.after_no_reply(delivery, unknown_resend_seconds=unknown_resend_seconds, now=now)
    marks.unknown(session, delivery, resend_at=again)
    log.warning("delivery_unknown", delivery=delivery.id, kind=delivery.kind, cause=failure.text)


def not_written(session: Session, delivery: Claimed, error: Exception, *, now: datetime) -> None:
    """The letter could not be written, and it is not this reader's fault: tried again like a server's "not now"."""
    what = f"not_written: {type(error).__name__}"[:60]
    again = retries.after_refusal(delivery, now=now)
    if again is not None:
        marks.retry(session, delivery, reason=what, reply=None, due_at=again)
    else:
        marks.failed(session, delivery, reason=what, reply=None, now=now)
    log.error("letter_not_written", delivery=delivery.id, kind=delivery.kind, error=type(error).__name__)


def unsendable(session: Session, delivery: Claimed, error: Exception, *, now: datetime) -> None:
    """No mail can be made of it. The class tells enough: a message might quote an address."""
    what = f"unsendable: {type(error).__name__}"[:60]
    marks.failed(session, delivery, reason=what, reply=None, now=now)
    log.error("delivery_unsendable", delivery=delivery.id, kind=delivery.kind, error=type(error).__name__)
