"""Holding an issue that goes out: pausing it, letting it go on, ending it."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.db import Database
from newsletter_svc.delivery import mailings
from newsletter_svc.digests.content import KIND


def pause(database: Database, digest_id: int, *, now: datetime) -> bool:
    """Let no sender take more of it; what is in flight ends. False where there was nothing to pause."""
    return _steer(database, digest_id, mailings.pause, Event.DIGEST_PAUSED, now=now)


def resume(database: Database, digest_id: int, *, now: datetime) -> bool:
    """Let it go on where it was; False unless it was paused. Of many at once one is told True."""
    return _steer(database, digest_id, mailings.resume, Event.DIGEST_RESUMED, now=now)


def cancel(database: Database, digest_id: int, *, now: datetime) -> bool:
    """End what is owed of it; False where it was over already.

    What is in flight ends as it ends, and what may have arrived stays `unknown`. A million deliveries are ended in
    many transactions, so that nobody waits for them. Where that is cut short, senders end the rest bit by bit.
    """
    is_changed = _steer(database, digest_id, mailings.cancel, Event.DIGEST_CANCELLED, now=now)
    end_rest(database, digest_id, now=now)
    return is_changed


def end_rest(database: Database, digest_id: int, *, now: datetime) -> None:
    """End what is owed of an issue that is cancelled, also what a sender gave back since; nothing of any other."""
    while _end_some(database, digest_id, now=now):
        pass


def _steer(
    database: Database, digest_id: int, change: Callable[[Session, int], bool], event: Event, *, now: datetime
) -> bool:
    with database.transaction() as session:
        mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
        if mailing is None:
            return False
        mailings.close_finished(session, mailing.id)
        is_changed = change(session, mailing.id)
        if is_changed:
            audit.record(session, event, subject=f"digest:{digest_id}", now=now)
        return is_changed


def _end_some(database: Database, digest_id: int, *, now: datetime) -> int:
    with database.transaction() as session:
        mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
        return 0 if mailing is None else mailings.end_cancelled(session, mailing.id, now=now)
