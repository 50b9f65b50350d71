"""What is on record about one reader's billing, for the reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.billing import customers
from newsletter_svc.billing.models import BillingUpdate


@dataclass(frozen=True)
class Pressed:
    """One press of "update billing", and when the new card came into use, if it did."""

    begun_at: datetime
    done_at: datetime | None


@dataclass(frozen=True)
class OwnBilling:
    """Who the reader is at Stripe, and what they did about it lately."""

    customer: str | None
    updates: Sequence[Pressed]


def collect(session: Session, subscriber_id: int) -> OwnBilling:
    """All of it, oldest first."""
    mine = select(BillingUpdate).where(BillingUpdate.subscriber_id == subscriber_id).order_by(BillingUpdate.id)
    updates = [Pressed(each.created_at, each.done_at) for each in session.scalars(mine)]
    return OwnBilling(customers.customer_of(session, subscriber_id), updates)
