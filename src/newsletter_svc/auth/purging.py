"""Throwing away what sign-in no longer needs: dead links, ended sessions, sign-ups that nobody confirmed."""

from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from newsletter_svc.auth.models import BrowserSession, MagicLink
from newsletter_svc.db import delete_where
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.subscribers.models import Subscriber

KEEP_LINKS = timedelta(days=7)
"""For so long a dead link still leads to a page that says what became of it, and offers a new one."""
KEEP_SESSIONS = timedelta(days=1)
"""The secret of a session is made from its link: without the row that says it has ended, a replay would start it anew.
A day is longer than any second chance of a link."""
BATCH = 500


def links(session: Session, *, now: datetime) -> int:
    """Throw away the links that died a week ago; how many."""
    return delete_where(session, MagicLink, MagicLink.expires_at < now - KEEP_LINKS)


def sessions(session: Session, *, now: datetime) -> int:
    """Throw away the sessions that ended a day ago; how many."""
    before = now - KEEP_SESSIONS
    ended = or_(BrowserSession.revoked_at < before, BrowserSession.expires_at < before)
    return delete_where(session, BrowserSession, ended)


def unconfirmed(session: Session, *, older_than: timedelta, now: datetime) -> int:
    """Throw away up to a batch of sign-ups that nobody confirmed, and every trace of their address; how many.

    Whoever still has a link that works is left alone.
    """
    living = exists().where(MagicLink.subscriber_id == Subscriber.id, MagicLink.expires_at > now)
    forgotten = (
        select(Subscriber.id)
        .where(Subscriber.confirmed_at.is_(None), Subscriber.created_at < now - older_than, ~living)
        .order_by(Subscriber.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(forgotten).all()
    # The ledger keeps what it owed when a subscriber goes; here it would keep an address that never agreed to that.
    delete_where(session, Delivery, Delivery.subscriber_id.in_(ids))
    return delete_where(session, Subscriber, Subscriber.id.in_(ids))
