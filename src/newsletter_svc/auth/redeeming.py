"""Redeeming a magic link or its one-time code: once, in one statement."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter_svc.auth import secrets as link_secrets
from newsletter_svc.auth import sessions
from newsletter_svc.auth.lifetimes import Lifetimes
from newsletter_svc.auth.models import MagicLink
from newsletter_svc.delivery import suppressions
from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import BadToken, Keyring, fingerprint

SECOND_CHANCE = timedelta(minutes=10)
"""How long the asking browser may still finish after the link was used: by a mail scanner, or by itself in a crash."""
MAX_CODE_TRIES = 5


class Outcome(StrEnum):
    """What redeeming led to; the values are the codes of the sentences."""

    SUBSCRIBED = "subscribed"
    SIGNED_UP = "signed_up"
    SIGNED_IN = "signed_in"


class Gone(StrEnum):
    """Why a link or code does not work. Private: strangers learn only that it does not."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    WRONG_CODE = "wrong_code"
    SIGNED_OUT = "signed_out"


class LinkGone(NewsletterError):
    """This link or code does not work (any more)."""

    def __init__(self, reason: Gone, link: MagicLink | None = None) -> None:
        super().__init__("the link or code does not work")
        self.reason = reason
        self.link = link
        # Noted apart from the row, which cannot be asked any more once its transaction is undone.
        self.link_id = link.id if link else None
        self.subscriber_id = link.subscriber_id if link else None


@dataclass(frozen=True)
class CodeTry:
    """One of the tries that a code has; spent, whatever comes of it."""

    link_id: str
    subscriber_id: int


@dataclass(frozen=True)
class Redeemed:
    """Somebody has proved an address and holds a session now."""

    outcome: Outcome
    link_id: str
    subscriber: Subscriber
    session_secret: str
    redirect: str
    is_first: bool
    """Whether this proved the address for the first time."""
    subscribed_by: MagicLink | None
    """The link, where this is what subscribed its reader to something."""


def find(session: Session, token: str, *, keyring: Keyring) -> MagicLink:
    """The link that a token names, in whatever state. Raises LinkGone for what was never one."""
    try:
        ticket = link_secrets.read(keyring, token)
    except BadToken as error:
        raise LinkGone(Gone.UNKNOWN) from error
    nonce_hash = fingerprint(ticket.nonce)
    link = session.scalars(select(MagicLink).where(MagicLink.nonce_hash == nonce_hash)).one_or_none()
    if link is None or link.door != ticket.door:
        raise LinkGone(Gone.UNKNOWN)
    return _with_living_key(link, keyring)


def look_up(session: Session, token: str, *, keyring: Keyring, now: datetime) -> MagicLink:
    """The link that a token names, unchanged and still good. Raises LinkGone."""
    link = find(session, token, keyring=keyring)
    if link.used_at is not None:
        raise LinkGone(Gone.USED, link)
    if link.expires_at <= now:
        raise LinkGone(Gone.EXPIRED, link)
    _check_address(session, link)
    return link


def may_finish(link: MagicLink, presession: str | None, *, now: datetime) -> bool:
    """Whether the browser with this pre-session may still complete a link that was used a moment ago."""
    recent = link.used_at is not None and now < link.used_at + SECOND_CHANCE
    return recent and asked_here(link, presession)


def asked_here(link: MagicLink, presession: str | None) -> bool:
    """Whether this pre-session is the one of the browser that asked for the link."""
    return presession is not None and fingerprint(presession) == link.presession_hash


def redeem(
    session: Session,
    token: str,
    *,
    presession: str | None,
    browser: str,
    keyring: Keyring,
    lifetimes: Lifetimes,
    now: datetime,
) -> Redeemed:
    """Use a link up and start a session. Raises LinkGone, also for the second of two that come at once."""
    link = find(session, token, keyring=keyring)
    _check_address(session, link)
    asker = asked_here(link, presession)
    return _use(session, link, asker=asker, browser=browser, keyring=keyring, lifetimes=lifetimes, now=now)


def count_code_try(session: Session, challenge: str) -> CodeTry:
    """Spend one of the five tries for the code behind this challenge. Raises LinkGone when none is left.

    Commit it before the code is compared: a try that failed must stay counted.
    """
    row = session.execute(
        update(MagicLink)
        .where(MagicLink.presession_hash == fingerprint(challenge), MagicLink.code_tries < MAX_CODE_TRIES)
        .values(code_tries=MagicLink.code_tries + 1)
        .returning(MagicLink.id, MagicLink.subscriber_id)
    ).one_or_none()
    if row is None:
        raise LinkGone(Gone.UNKNOWN)
    return CodeTry(*row)


def redeem_code(
    session: Session,
    link_id: str,
    code: str,
    *,
    browser: str,
    keyring: Keyring,
    lifetimes: Lifetimes,
    now: datetime,
) -> Redeemed:
    """What the link would do, for who typed the code and holds the challenge. Raises LinkGone."""
    link = _with_living_key(session.get_one(MagicLink, link_id), keyring)
    _check_address(session, link)
    if not link_secrets.code_matches(keyring, link, code):
        raise LinkGone(Gone.WRONG_CODE, link)
    return _use(session, link, asker=True, browser=browser, keyring=keyring, lifetimes=lifetimes, now=now)


def _with_living_key(link: MagicLink, keyring: Keyring) -> MagicLink:
    # A token that was signed during a rotation outlives the key that its row was made with.
    if link.key_id not in keyring.all:
        raise LinkGone(Gone.UNKNOWN)
    return link


def _check_address(session: Session, link: MagicLink) -> None:
    """A bounce or a complaint after the link was asked for ends it: whoever holds it now was not meant to."""
    email = session.get_one(Subscriber, link.subscriber_id).email
    if suppressions.was_added_since(session, email, link.created_at):
        raise LinkGone(Gone.EXPIRED, link)


def _use(
    session: Session,
    link: MagicLink,
    *,
    asker: bool,
    browser: str,
    keyring: Keyring,
    lifetimes: Lifetimes,
    now: datetime,
) -> Redeemed:
    first = session.scalars(
        update(MagicLink)
        .where(MagicLink.id == link.id, MagicLink.used_at.is_(None), MagicLink.expires_at > now)
        .values(used_at=now, used_by_asker=asker)
        .returning(MagicLink.id)
    ).one_or_none()
    session.refresh(link)
    subscriber = session.get_one(Subscriber, link.subscriber_id)
    is_first = first is not None and not subscriber.is_known
    if first is None:
        _take_second_chance(session, link, asker=asker, keyring=keyring, now=now)
    else:
        link.outcome = _admit(session, link, subscriber, now=now)
    secret = link_secrets.session_secret(keyring, link, asker=asker)
    lifetime = lifetimes.session
    if not sessions.start(session, secret, subscriber_id=subscriber.id, browser=browser, lifetime=lifetime, now=now):
        raise LinkGone(Gone.SIGNED_OUT, link)
    return Redeemed(
        Outcome(link.outcome or Outcome.SIGNED_IN),
        link.id,
        subscriber,
        secret,
        link.redirect,
        is_first,
        subscribed_by=link if first is not None and link.newsletter_ids else None,
    )


def _take_second_chance(session: Session, link: MagicLink, *, asker: bool, keyring: Keyring, now: datetime) -> None:
    if link.used_at is None:
        raise LinkGone(Gone.EXPIRED, link)
    if not asker or now >= link.used_at + SECOND_CHANCE:
        raise LinkGone(Gone.USED, link)
    if not link.used_by_asker:
        # Somebody else pressed the button first, most likely a mail scanner: its session ends here.
        link.used_by_asker = True
        sessions.end(session, link_secrets.session_secret(keyring, link, asker=False), now=now)


def _admit(session: Session, link: MagicLink, subscriber: Subscriber, *, now: datetime) -> Outcome:
    """What the first redemption makes true: the address is proved, and what was asked for is subscribed."""
    was_known = subscriber.is_known
    if not was_known:
        subscriber.confirmed_at = now
        # Anybody can fill in a form with somebody's address: only a new account takes its name from it.
        subscriber.name = link.name or subscriber.name
    subscriptions.confirm(session, subscriber.id, link.newsletter_ids, now=now)
    if link.door == "subscribe" and link.newsletter_ids:
        # Who complained and now asks for it, by double opt-in, gets it: or the sentence they read would not be true.
        suppressions.lift(session, subscriber.email)
        return Outcome.SUBSCRIBED
    suppressions.refute(session, subscriber.email)
    return Outcome.SIGNED_IN if was_known else Outcome.SIGNED_UP
