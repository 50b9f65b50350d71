"""Proof of consent: what readers agreed to, in which words, and when they took it back."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from newsletter_svc.db import delete_where, insert_if_absent, insert_row
from newsletter_svc.subscribers.models import (
    Consent,
    ConsentAct,
    ConsentText,
    Newsletter,
    Subscription,
    SubscriptionStatus,
    Way,
)


class Wording(NamedTuple):
    """What stood above the button: a stable name, and the words themselves."""

    name: str
    text: str


@dataclass(frozen=True)
class Origin:
    """How a consent came, or was taken back."""

    way: Way
    peer: str | None = None
    asked_at: datetime | None = None
    asked_page: str | None = None
    asked_peer: str | None = None
    source: str | None = None


BY_UNSUBSCRIBING = Origin(Way.UNSUBSCRIBE)
BY_COMPLAINING = Origin(Way.COMPLAINT)
BY_THEIR_ACCOUNT = Origin(Way.ACCOUNT)
BY_IMPORTING = Origin(Way.IMPORT)


class Line(NamedTuple):
    """One line of a reader's record, with the words where there were some."""

    consent: Consent
    text: ConsentText | None


def given(
    session: Session,
    subscriber_id: int,
    newsletter_ids: Collection[int],
    *,
    origin: Origin,
    wording: Wording | None = None,
    now: datetime,
) -> None:
    """Put on record that the reader wants these newsletters, in the transaction that subscribes them."""
    fingerprint = _kept(session, wording, now=now) if wording else None
    line = _line(ConsentAct.GIVEN, origin, _slugs(session, newsletter_ids), now=now)
    insert_row(session, Consent, {**line, "subscriber_id": subscriber_id, "text_fingerprint": fingerprint})


def given_by_many(
    session: Session,
    wishes: Iterable[tuple[int, Collection[int]]],
    *,
    slugs: Mapping[int, str],
    origin: Origin,
    now: datetime,
) -> None:
    """The same for a list: subscribers by id, each with the newsletters, whose `slugs` the caller knows."""
    lines = [
        {
            **_line(ConsentAct.GIVEN, origin, sorted(slugs[each] for each in newsletter_ids), now=now),
            "subscriber_id": subscriber_id,
        }
        for subscriber_id, newsletter_ids in wishes
    ]
    if lines:
        session.connection().execute(insert(Consent), lines)


def withdrawn(
    session: Session, subscriber_id: int, newsletter_ids: Collection[int], *, origin: Origin, now: datetime
) -> None:
    """Put on record that the reader wants these newsletters no more."""
    line = _line(ConsentAct.WITHDRAWN, origin, _slugs(session, newsletter_ids), now=now)
    insert_row(session, Consent, {**line, "subscriber_id": subscriber_id})


def of(session: Session, subscriber_id: int) -> Sequence[Line]:
    """A reader's record, oldest first."""
    rows = session.execute(
        select(Consent, ConsentText)
        .outerjoin(ConsentText, ConsentText.fingerprint == Consent.text_fingerprint)
        .where(Consent.subscriber_id == subscriber_id)
        .order_by(Consent.at, Consent.id)
    )
    return [Line(*row) for row in rows]


def purge(session: Session, *, retention: timedelta, now: datetime) -> int:
    """Forget what is older than `retention`, and words that nothing refers to; how many lines of both.

    While a reader gets a newsletter, all of their record stays: it is what the mails rest on.
    """
    gets_mail = exists().where(
        Subscription.subscriber_id == Consent.subscriber_id, Subscription.status == SubscriptionStatus.CONFIRMED
    )
    lines = delete_where(session, Consent, Consent.at < now - retention, ~gets_mail)
    is_used = exists().where(Consent.text_fingerprint == ConsentText.fingerprint)
    return lines + delete_where(session, ConsentText, ConsentText.first_used_at < now - retention, ~is_used)


def _line(act: ConsentAct, origin: Origin, newsletters: list[str], *, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "act": act,
        "way": origin.way,
        "newsletters": newsletters,
        "peer": origin.peer,
        "asked_at": origin.asked_at,
        "asked_page": origin.asked_page,
        "asked_peer": origin.asked_peer,
        "source": origin.source,
    }


def _kept(session: Session, wording: Wording, *, now: datetime) -> str:
    """The fingerprint of these words, which are on record from now on."""
    fingerprint = hashlib.sha256(f"{wording.name}\0{wording.text}".encode()).hexdigest()
    values = {"fingerprint": fingerprint, "name": wording.name, "text": wording.text, "first_used_at": now}
    insert_if_absent(session, ConsentText, values, unique=["fingerprint"])
    return fingerprint


def _slugs(session: Session, newsletter_ids: Collection[int]) -> list[str]:
    return list(
        session.scalars(select(Newsletter.slug).where(Newsletter.id.in_(newsletter_ids)).order_by(Newsletter.slug))
    )
