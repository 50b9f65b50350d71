"""Alerts: what an operator must hear, in the log as an ERROR, in /readyz, in `digest status`, and by mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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


EXPLANATIONS = {
    Cause.SENDER_REFUSED: Explanation(
        "The mail server refuses us",
        "No mail goes out, and all of it stays owed. Check MAIL_USERNAME, MAIL_PASSWORD and MAIL_DEFAULT_SENDER, and "
        "your account with the provider.",
    ),
    Cause.MAILING_PAUSED: Explanation(
        "An issue is paused",
        "The mail server refuses it again and again, and no reader is to blame: it is too large, or the server "
        "mistrusts who we are or what we write. Nobody was suppressed, and the rest stays owed. Find out why, then go "
        "on with `newsletter digest resume`, or end it with `newsletter digest cancel`.",
    ),
    Cause.DISK_FULL: Explanation(
        "A disk was full",
        "Nothing could be written down, so no mail was claimed or sent and readers were told to come back later. It "
        "went on by itself as soon as there was room. Make more of it: for the database, and for NEWSLETTER_VAR_DIR.",
    ),
    Cause.STRIPE_REFUSED: Explanation(
        "Stripe refuses us",
        "Readers cannot update their billing and are told to come back later. Check STRIPE_SECRET_KEY: whether it is "
        "of the right account, was revoked, or (a restricted key) may not read and write customers, Checkout "
        "sessions, set-up intents and subscriptions.",
    ),
    Cause.GLOBAL_LIMIT: Explanation(
        "Too many mails are asked for",
        "More were asked for than LIMIT_GLOBAL allows, so readers are told to come back later. Either many of them "
        "came at once, and the limit is too low for that, or a program is filling in your forms.",
    ),
    Cause.UNTRUSTED_PROXY: Explanation(
        "All readers are counted as one",
        "Requests come through a proxy that TRUSTED_PROXIES does not name, so all of them count for its address, and "
        "LIMIT_PER_IP turns readers away. Set TRUSTED_PROXIES to the number of proxies before the service.",
    ),
}


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
