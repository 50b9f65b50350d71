"""Addresses that nothing is written to."""

from datetime import datetime

from sqlalchemy.orm import Session

from newsletter_svc.db import insert_if_absent
from newsletter_svc.delivery.models import Suppression


def add(session: Session, email: str, *, reason: str, now: datetime) -> None:
    """Write to this address no more; the first reason stays."""
    values = {"email_key": email.lower(), "reason": reason, "created_at": now}
    insert_if_absent(session, Suppression, values, unique=["email_key"])
