"""Alerts by mail: one an hour and cause, to the operator, owed and sent like every other mail."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from newsletter_svc import alerts
from newsletter_svc.alerts import Alert, Cause
from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, Stream
from newsletter_svc.settings import Settings

KIND = "alert"
STALE = timedelta(days=1)
"""Who hears of it later than this has long seen it in the reports."""


def owe_due(database: Database, settings: Settings, *, now: datetime) -> bool:
    """Owe the operator a mail about each alert that one is due for; whether there was any.

    Whoever runs a sender calls it now and then: what raises an alert need not know of mail.
    """
    if settings.operator_address is None:
        return False
    with database.reading() as session:
        if not alerts.any_to_mail(session, now=now):
            return False
    with database.transaction() as session:
        causes = alerts.take_to_mail(session, now=now)
        for cause in causes:
            _owe(session, cause, settings.operator_address, message_domain=settings.message_domain, now=now)
    return bool(causes)


def _owe(session: Session, cause: Cause, operator: str, *, message_domain: str, now: datetime) -> None:
    ledger.enqueue(
        session,
        key=f"{KIND}:{cause}:{now:%Y%m%dT%H%M%S.%f}",
        kind=KIND,
        recipient=operator,
        subscriber_id=None,
        subject_id=cause,
        message_domain=message_domain,
        now=now,
        expires_at=now + STALE,
    )


class AlertLetters:
    """Writes the mail about an alert, with what is known when it is sent."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        """The letter for this delivery, whose `subject_id` is the alert's cause."""
        alert = session.get_one(Alert, Cause(delivery.subject_id))
        explanation = alerts.EXPLANATIONS[alert.cause]
        context = {
            "cause": alert.cause.value,
            "title": explanation.title,
            "explanation": explanation.text,
            "count": alert.count,
            "first_at": alert.first_at,
            "last_at": alert.last_at,
            "detail": alert.detail,
        }
        rendered = self._composer.render(KIND, context)
        return Letter(recipient=Mailbox(delivery.recipient), rendered=rendered, stream=Stream.TRANSACTIONAL)
