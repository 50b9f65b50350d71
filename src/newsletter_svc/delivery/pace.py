"""The provider's rate: how many messages a second all processes together may send."""

from datetime import datetime, timedelta

from sqlalchemy import String
from sqlalchemy.orm import Mapped, Session, mapped_column

from newsletter_svc.db import Base, insert_if_absent

ROW = "smtp"


class Pace(Base):
    """One row: until when the mail server's time is promised already."""

    __tablename__ = "pace"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    free_at: Mapped[datetime]


def reserve(session: Session, count: int, *, per_second: float, now: datetime) -> datetime:
    """Promise time for `count` messages and return when the first may go; the others follow `1/per_second` apart."""
    insert_if_absent(session, Pace, {"name": ROW, "free_at": now}, unique=["name"])
    row = session.get_one(Pace, ROW, with_for_update=True)
    start = max(row.free_at, now)
    row.free_at = start + timedelta(seconds=count / per_second)
    return start
