"""What is on record about one reader, for that reader: all of it, in their own words where there are some."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event, SecurityEvent
from newsletter_svc.auth import address_changes
from newsletter_svc.auth.address_changes import Kind
from newsletter_svc.auth.models import BrowserSession, MagicLink
from newsletter_svc.auth.own_records import (
    Agreement,
    Happened,
    LinkAsked,
    Mail,
    Moved,
    OwnData,
    Returned,
    SignIn,
    Standing,
)
from newsletter_svc.delivery.models import Bounce, Delivery, Suppression
from newsletter_svc.subscribers import consents
from newsletter_svc.subscribers.models import AddressChange, Newsletter, Subscriber, Subscription


def collect(session: Session, subscriber: Subscriber) -> OwnData:
    """All that is on record about this subscriber, the oldest first. Secrets and their hashes are no data of theirs.

    Nor is what became of a mail to an address that they only asked to move to: it tells who else is a reader. That they
    asked stands in `address_changes`.
    """
    return OwnData(
        id=subscriber.public_id,
        email=subscriber.email,
        name=subscriber.name,
        created_at=subscriber.created_at,
        confirmed_at=subscriber.confirmed_at,
        send_hour=subscriber.send_hour,
        timezone=subscriber.timezone,
        language=subscriber.language,
        subscriptions=_standings(session, subscriber.id),
        consents=agreements(session, subscriber.id),
        address_changes=_moves(session, subscriber.id),
        sign_ins=_sign_ins(session, subscriber.id),
        links=_links(session, subscriber.id),
        mails=_mails(session, subscriber.id),
        bounces=_bounces(session, subscriber.email_key),
        suppressed=_suppression(session, subscriber.email_key),
        events=_events(session, subscriber.id),
    )


def _standings(session: Session, subscriber_id: int) -> list[Standing]:
    rows = session.execute(
        select(Subscription, Newsletter.slug)
        .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
        .where(Subscription.subscriber_id == subscriber_id)
        .order_by(Newsletter.id)
    )
    return [
        Standing(
            slug,
            found.status,
            found.created_at,
            found.confirmed_at,
            found.unsubscribed_at,
            found.frequency,
            found.paused_until,
        )
        for found, slug in rows
    ]


def agreements(session: Session, subscriber_id: int) -> list[Agreement]:
    """A reader's consents, the oldest first."""
    return [
        Agreement(
            line.act,
            line.at,
            line.way,
            line.newsletters,
            words.text if words else None,
            line.peer,
            line.asked_at,
            line.asked_page,
            line.asked_peer,
            line.source,
        )
        for line, words in consents.of(session, subscriber_id)
    ]


def _moves(session: Session, subscriber_id: int) -> list[Moved]:
    mine = select(AddressChange).where(AddressChange.subscriber_id == subscriber_id)
    return [
        Moved(each.old_email, each.new_email, each.asked_from, each.asked_at, each.done_at, each.undone_at)
        for each in session.scalars(mine.order_by(AddressChange.asked_at, AddressChange.id))
    ]


def _sign_ins(session: Session, subscriber_id: int) -> list[SignIn]:
    mine = select(BrowserSession).where(BrowserSession.subscriber_id == subscriber_id).order_by(BrowserSession.id)
    return [
        SignIn(each.browser, each.created_at, each.last_seen_at, each.expires_at, each.revoked_at)
        for each in session.scalars(mine)
    ]


def _links(session: Session, subscriber_id: int) -> list[LinkAsked]:
    mine = select(MagicLink).where(MagicLink.subscriber_id == subscriber_id)
    return [
        LinkAsked(
            each.door,
            each.name,
            each.redirect,
            each.asked_from,
            each.asked_page,
            each.asked_peer,
            each.created_at,
            each.expires_at,
            each.used_at,
        )
        for each in session.scalars(mine.order_by(MagicLink.created_at, MagicLink.id))
    ]


def _mails(session: Session, subscriber_id: int) -> list[Mail]:
    mine = select(Delivery).where(Delivery.subscriber_id == subscriber_id, Delivery.kind != Kind.CONFIRM_ADDRESS)
    return [
        Mail(each.kind, each.recipient, each.message_id, each.status, each.reason, each.created_at, each.finished_at)
        for each in session.scalars(mine.order_by(Delivery.id))
    ]


def _events(session: Session, subscriber_id: int) -> list[Happened]:
    return [
        Happened(each.at, each.event, each.reason, each.peer)
        for each in audit.trail(session, subscriber_id)
        if not _is_of_asking_to_move(each)
    ]


def _is_of_asking_to_move(event: SecurityEvent) -> bool:
    if event.event == Event.WITHHELD:
        return (event.subject or "").startswith(address_changes.SUBJECT)
    return event.reason == Kind.CONFIRM_ADDRESS


def _bounces(session: Session, email_key: str) -> list[Returned]:
    mine = select(Bounce).where(Bounce.email_key == email_key).order_by(Bounce.at, Bounce.id)
    return [Returned(each.kind, each.status, each.at) for each in session.scalars(mine)]


def _suppression(session: Session, email_key: str) -> str | None:
    return session.scalars(select(Suppression.reason).where(Suppression.email_key == email_key)).one_or_none()
