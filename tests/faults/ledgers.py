"""Looking into the ledger, and letting time pass in it: what is to be tried later is due now."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import select, update

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Mailing, Status, Suppression
from newsletter_svc.parts import Parts

LATER = (Status.RETRY, Status.UNKNOWN)


def rows(parts: Parts) -> dict[str, Delivery]:
    """The deliveries by recipient."""
    with parts.database.reading() as session:
        return {row.recipient: row for row in session.scalars(select(Delivery).order_by(Delivery.id))}


def statuses(parts: Parts) -> Counter[Status]:
    with parts.database.reading() as session:
        return Counter(session.scalars(select(Delivery.status)))


def suppressed(parts: Parts) -> dict[str, str]:
    """Why which address is not written to."""
    with parts.database.reading() as session:
        return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def mailing(parts: Parts) -> Mailing:
    """The one mailing there is."""
    with parts.database.reading() as session:
        return session.scalars(select(Mailing)).one()


def let_time_pass(parts: Parts, by: timedelta = timedelta()) -> None:
    """Let what is tried again later be due, as if so much time had passed since it was owed."""
    with parts.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.status.in_(LATER)).values(due_at=utcnow()))
        for row in session.scalars(select(Delivery)):
            row.created_at -= by
