"""What views add to the audit trail: events of requests, with the place they came from."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.auth.api_keys import BadApiKey, MissingScope
from newsletter_svc.auth.redeeming import LinkGone, Redeemed
from newsletter_svc.clock import utcnow
from newsletter_svc.web import peers
from newsletter_svc.web.state import parts


def note(
    session: Session,
    event: Event,
    *,
    reason: str | None = None,
    subscriber_id: int | None = None,
    subject: str | None = None,
) -> None:
    """Add a line, in the transaction of what happened."""
    audit.record(
        session,
        event,
        reason=reason,
        subscriber_id=subscriber_id,
        subject=subject,
        peer=peers.hashed(),
        now=utcnow(),
    )


def redeemed(session: Session, redeemed: Redeemed) -> None:
    """Somebody has proved an address."""
    note(
        session,
        Event.REDEEMED,
        reason=redeemed.outcome,
        subscriber_id=redeemed.subscriber.id,
        subject=f"link:{redeemed.link_id}",
    )


@contextmanager
def refusals() -> Iterator[Session]:
    """A transaction for using up a link or a code, whose refusal is written down although the work is undone."""
    try:
        with parts().database.transaction() as session:
            yield session
    except LinkGone as gone:
        _refused(gone)
        raise


@contextmanager
def key_refusals() -> Iterator[Session]:
    """A transaction for what an API key allows, which writes down that one was refused."""
    try:
        with parts().database.transaction() as session:
            yield session
    except (BadApiKey, MissingScope) as error:
        _key_refused(error)
        raise


def _refused(gone: LinkGone) -> None:
    if gone.link_id is None:
        audit.log_only(Event.REFUSED, reason=gone.reason.value, peer=peers.hashed())
        return
    with parts().database.transaction() as session:
        subject = f"link:{gone.link_id}"
        note(session, Event.REFUSED, reason=gone.reason, subscriber_id=gone.subscriber_id, subject=subject)


def _key_refused(error: BadApiKey | MissingScope) -> None:
    if error.key_id is None:
        audit.log_only(Event.KEY_REFUSED, reason="unknown", peer=peers.hashed())
        return
    reason = error.scope if isinstance(error, MissingScope) else "revoked"
    with parts().database.transaction() as session:
        note(session, Event.KEY_REFUSED, reason=reason, subject=f"key:{error.key_id}")
