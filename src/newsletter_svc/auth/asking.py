"""Asking for a magic link: the row, and the mail that is owed for it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.auth import secrets as link_secrets
from newsletter_svc.auth.lifetimes import Lifetimes
from newsletter_svc.auth.models import Door, MagicLink
from newsletter_svc.db import insert_row
from newsletter_svc.delivery import ledger
from newsletter_svc.prepared import Prepared
from newsletter_svc.subscribers import newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import Address
from newsletter_svc.subscribers.models import Newsletter
from newsletter_svc.subscribers.people import Person
from newsletter_svc.tokens import Keyring, fingerprint


class Kind(StrEnum):
    """The mails of this feature, each with its folder under templates/email."""

    CONFIRM_SUBSCRIPTION = "confirm_subscription"
    ALREADY_SUBSCRIBED = "already_subscribed"
    SIGN_UP = "sign_up"
    SIGN_IN = "sign_in"


class Withheld(StrEnum):
    """Why a request gets no mail, which nobody outside may notice."""

    LIMIT = "limit"
    TRAP = "trap"


@dataclass(frozen=True)
class Request:
    """What a form said, checked."""

    door: Door
    address: Address
    name: str = ""
    newsletters: Sequence[str] = ()
    redirect: str = "/"
    asked_from: str = ""
    """The asking browser in a reader's words, such as `Firefox on Linux`."""
    page: str | None = None
    """The origin of the page with the form."""
    peer: str | None = None
    """Where it came from, as the audit trail knows it."""
    presession: str | None = None
    """What this browser was given when it asked before."""


def request_link(
    session: Session,
    request: Request,
    *,
    keyring: Keyring,
    message_domain: str,
    lifetimes: Lifetimes,
    now: datetime,
    withheld: Withheld | None = None,
) -> str:
    """Owe this address the mail that fits, and return the pre-session secret of whoever asked.

    Known and unknown addresses take the same statements here, and nothing is sent: the mail leaves later, by the
    ledger. A withheld request takes them too, for a link that is expired at its birth and a mail that is cancelled.
    Raises UnknownNewsletter.
    """
    named = newsletters.get_all(session, request.newsletters) if _names_newsletters(request) else []
    person = people.whoever_is_at(session, request.address, now=now)
    kind = _fitting_kind(session, request.door, person, named)
    asks_again = _waits_for_a_link(session, request, person, now=now)
    presession = secrets.token_urlsafe(32)
    expires_at = now if withheld else now + _lifetime(kind, lifetimes)
    link = _new_link(request, kind, person, named, presession=presession, keyring=keyring, now=now)
    insert_row(session, MagicLink, {**link, "expires_at": expires_at})
    ledger.enqueue(
        session,
        key=f"{kind}:{link['id']}",
        kind=kind,
        recipient=person.email,
        subscriber_id=person.id,
        subject_id=link["id"],
        message_domain=message_domain,
        now=now,
        expires_at=expires_at,
        withheld=withheld,
    )
    audit.record(
        session,
        Event.WITHHELD if withheld else Event.ASKED,
        reason=withheld or kind,
        subscriber_id=person.id,
        subject=f"link:{link['id']}",
        peer=request.peer,
        now=now,
    )
    # The only mail that this browser will get is the one before, so it keeps what that mail's code needs.
    return request.presession if asks_again and withheld is Withheld.LIMIT and request.presession else presession


def _waits_for_a_link(session: Session, request: Request, person: Person, *, now: datetime) -> bool:
    """Whether the pre-session is that of a link of this subscriber that still works: nothing else is adopted."""
    presession_hash = fingerprint(request.presession or "")
    values = {"presession_hash": presession_hash, "subscriber_id": person.id, "now": now}
    return bool(_WAITING.run(session, values))


_WAITING = Prepared(
    lambda _: select(MagicLink.id).where(
        MagicLink.presession_hash == bindparam("presession_hash"),
        MagicLink.subscriber_id == bindparam("subscriber_id"),
        MagicLink.used_at.is_(None),
        MagicLink.expires_at > bindparam("now"),
    )
)


def _lifetime(kind: Kind, lifetimes: Lifetimes) -> timedelta:
    return lifetimes.confirmation if kind == Kind.CONFIRM_SUBSCRIPTION else lifetimes.sign_in


def _names_newsletters(request: Request) -> bool:
    return request.door == Door.SUBSCRIBE or bool(request.newsletters)


def _fitting_kind(session: Session, door: Door, person: Person, named: Sequence[Newsletter]) -> Kind:
    """The mail for this door. What is asked of the database hangs on the door alone, not on whose address it is."""
    if door == Door.SUBSCRIBE:
        confirmed = subscriptions.confirmed_ids(session, person.id)
        has_all = person.is_known and all(newsletter.id in confirmed for newsletter in named)
        return Kind.ALREADY_SUBSCRIBED if has_all else Kind.CONFIRM_SUBSCRIPTION
    return Kind.SIGN_IN if person.is_known else Kind.SIGN_UP


def _new_link(
    request: Request,
    kind: Kind,
    person: Person,
    named: Sequence[Newsletter],
    *,
    presession: str,
    keyring: Keyring,
    now: datetime,
) -> dict[str, Any]:
    """The row of a new link, all but its expiry."""
    link_id = uuid4().hex
    confirms = kind in (Kind.CONFIRM_SUBSCRIPTION, Kind.SIGN_UP)
    nonce = link_secrets.nonce(keyring, link_id, key_id=keyring.newest)
    return {
        "id": link_id,
        "door": request.door,
        "key_id": keyring.newest,
        "nonce_hash": fingerprint(nonce),
        "presession_hash": fingerprint(presession),
        "subscriber_id": person.id,
        "newsletter_ids": [newsletter.id for newsletter in named] if confirms else [],
        "name": request.name,
        "redirect": request.redirect,
        "asked_from": request.asked_from,
        "asked_page": request.page,
        "asked_peer": request.peer,
        "created_at": now,
        "used_by_asker": False,
        "code_tries": 0,
    }
