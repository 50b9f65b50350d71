"""Signed-in browsers: starting, recognising and ending their sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, true, update
from sqlalchemy.orm import Session

from newsletter_svc.auth.lifetimes import Lifetimes
from newsletter_svc.auth.models import BrowserSession
from newsletter_svc.db import insert_if_absent
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import fingerprint

SEEN_EVERY = timedelta(hours=1)
"""How stale `last_seen_at` may be: a write at every page view would make each reader a writer."""


@dataclass(frozen=True)
class SignedIn:
    """Who is signed in, by which session."""

    session_id: int
    subscriber: Subscriber
    needs_touch: bool


def start(
    session: Session, secret: str, *, subscriber_id: int, browser: str, lifetime: timedelta, now: datetime
) -> bool:
    """Start a session under this secret; False when it was started before and has been ended since."""
    values = {
        "secret_hash": fingerprint(secret),
        "subscriber_id": subscriber_id,
        "browser": browser,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + lifetime,
    }
    if insert_if_absent(session, BrowserSession, values, unique=["secret_hash"]):
        return True
    return find(session, secret, now=now) is not None


def find(session: Session, secret: str, *, now: datetime) -> SignedIn | None:
    """The living session with this secret, or None."""
    row = session.execute(
        select(BrowserSession, Subscriber)
        .join(Subscriber, Subscriber.id == BrowserSession.subscriber_id)
        .where(BrowserSession.secret_hash == fingerprint(secret))
        .where(BrowserSession.revoked_at.is_(None), BrowserSession.expires_at > now)
    ).one_or_none()
    if row is None:
        return None
    browser_session, subscriber = row
    stale = now - browser_session.last_seen_at > SEEN_EVERY
    return SignedIn(browser_session.id, subscriber, needs_touch=stale)


def touch(session: Session, session_id: int, *, lifetimes: Lifetimes, now: datetime) -> None:
    """Seen again: live on for another while, but no longer after the sign-in than a session may live at all."""
    row = session.get_one(BrowserSession, session_id)
    row.last_seen_at = now
    row.expires_at = min(now + lifetimes.session, row.created_at + lifetimes.session_max)


def end(session: Session, secret: str, *, now: datetime) -> None:
    """Sign out: from now on a copy of the cookie is worth nothing either."""
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.secret_hash == fingerprint(secret), BrowserSession.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def living(session: Session, subscriber_id: int, *, now: datetime) -> Sequence[BrowserSession]:
    """All browsers in which this subscriber is signed in, the latest seen first."""
    return session.scalars(
        select(BrowserSession)
        .where(BrowserSession.subscriber_id == subscriber_id)
        .where(BrowserSession.revoked_at.is_(None), BrowserSession.expires_at > now)
        .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc())
    ).all()


def end_one(session: Session, session_id: int, *, subscriber_id: int, now: datetime) -> bool:
    """Sign out one browser of this subscriber; False when it is not theirs or not signed in."""
    ended = session.scalars(
        update(BrowserSession)
        .where(BrowserSession.id == session_id, BrowserSession.subscriber_id == subscriber_id)
        .where(BrowserSession.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(BrowserSession.id)
    ).one_or_none()
    return ended is not None


def end_all(session: Session, subscriber_id: int, *, but: int | None = None, now: datetime) -> None:
    """Sign out everywhere; or everywhere else, where the session `but` is to go on."""
    others = BrowserSession.id != but if but is not None else true()
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.subscriber_id == subscriber_id, BrowserSession.revoked_at.is_(None), others)
        .values(revoked_at=now)
    )
