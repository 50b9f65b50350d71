"""Alerts: what an operator must hear, in the log as an ERROR, in /readyz, in `digest status`, and by mail."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, Text, case, not_, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from newsletter_svc.db import Base, insert_into, word

QUIET = timedelta(hours=1)
"""After an hour without it an alert is over, and the next time is a new one."""
MAIL_EVERY = timedelta(hours=1)

log = structlog.get_logger()


class Cause(StrEnum):
    """The stable names of alerts."""

    SENDER_REFUSED = "sender_refused"
    MAILING_PAUSED = "mailing_paused"
    DISK_FULL = "disk_full"
    GLOBAL_LIMIT = "global_limit"
    UNTRUSTED_PROXY = "untrusted_proxy"
    STRIPE_REFUSED = "stripe_refused"


@dataclass(frozen=True)
class Explanation:
    """An alert in a sentence, and what to do about it."""

    title: str
    text: str


def _explanations() -> dict[Cause, Explanation]:
    words = tomllib.loads((Path(__file__).parent / "alerts.toml").read_text(encoding="utf-8"))
    return {cause: Explanation(**words[cause]) for cause in Cause}


EXPLANATIONS = _explanations()
"""The words are in `alerts.toml`; a cause without any stops the start."""


class Alert(Base):
    """One cause: since when, how often, and when a mail last told of it."""

    __tablename__ = "alerts"

    cause: Mapped[Cause] = mapped_column(word(Cause), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int]
    detail: Mapped[str] = mapped_column(Text)
    """What the last time was about, for the operator alone, such as a mail server's reply."""
    mailed_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Current:
    """An alert that is not over, as reports show it."""

    cause: Cause
    first_at: datetime
    last_at: datetime
    count: int


def report(session: Session, cause: Cause, *, detail: str = "", now: datetime) -> None:
    """It happened (again). One statement, so that all processes count the same alert."""
    log.error(cause.value, alert=True, detail=detail)
    values = {"cause": cause, "first_at": now, "last_at": now, "count": 1, "detail": detail}
    insert = insert_into(session.get_bind().dialect.name, Alert).values(values)
    goes_on = Alert.last_at > now - QUIET
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["cause"],
            set_={
                "first_at": case((goes_on, Alert.first_at), else_=insert.excluded.first_at),
                "last_at": insert.excluded.last_at,
                "count": case((goes_on, Alert.count + 1), else_=1),
                "detail": insert.excluded.detail,
            },
        )
    )


def current(session: Session, *, now: datetime) -> Sequence[Current]:
    """The alerts that are not over, the newest first."""
    rows = session.scalars(select(Alert).where(Alert.last_at > now - QUIET).order_by(Alert.last_at.desc())).all()
    return [Current(row.cause, row.first_at, row.last_at, row.count) for row in rows]


def any_to_mail(session: Session, *, now: datetime) -> bool:
    """Whether a mail about some alert is due: it happened since the last mail, which is an hour ago or was none."""
    return session.scalars(select(Alert.cause).where(_is_to_mail(now)).limit(1)).first() is not None


def take_to_mail(session: Session, *, now: datetime) -> Sequence[Cause]:
    """The causes that a mail is due about. Of several processes that ask, one gets each cause."""
    taken = update(Alert).where(_is_to_mail(now)).values(mailed_at=now).returning(Alert.cause)
    return session.scalars(taken.execution_options(synchronize_session=False)).all()


def _is_to_mail(now: datetime) -> ColumnElement[bool]:
    told_of_it_lately = or_(Alert.last_at <= Alert.mailed_at, Alert.mailed_at > now - MAIL_EVERY)
    return or_(Alert.mailed_at.is_(None), not_(told_of_it_lately))
