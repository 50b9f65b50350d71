"""Marks: how claimed deliveries end. Only who holds the claim may mark."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, bindparam, case, literal, text, update
from sqlalchemy.orm import Session

from newsletter_svc.db import UtcDateTime, change
from newsletter_svc.delivery.models import Claimed, Delivery, Status
from newsletter_svc.prepared import Prepared


class Sent(NamedTuple):
    """What was marked: the subscriber that it is for, or None for nobody, or for somebody who was erased meanwhile."""

    subscriber_id: int | None


def sent(session: Session, delivery: Claimed, *, reply: str, now: datetime) -> Sent | None:
    """The server has accepted it, with this reply. None where it was not ours to mark any more."""
    values = {"mine": delivery.id, "worker": delivery.claimed_by, "came": reply, "now": now}
    marked = _SENT.run(session, values)
    return Sent(marked[0][0]) if marked else None


_SENT = Prepared(
    lambda _: (
        update(Delivery)
        .where(
            Delivery.id == bindparam("mine"),
            Delivery.status == Status.CLAIMED,
            Delivery.claimed_by == bindparam("worker"),
        )
        .values(
            status=Status.SENT,
            # Servers quote the address that they speak of, and the reader may have been erased since the claim.
            reply=case((Delivery.recipient != "", bindparam("came", type_=Delivery.reply.type))),
            reason=None,
            finished_at=bindparam("now"),
            claimed_by=None,
            leased_until=None,
        )
        .returning(Delivery.subscriber_id)
    )
)


def all_sent(session: Session, accepted: Sequence[tuple[Claimed, str]], *, now: datetime) -> int:
    """The server has accepted all of these, each with its reply; in one statement, since there are a million of them.

    Returns how many were still ours to mark.
    """
    if not accepted:
        return 0
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    marked = 0
    by_claim = groupby(sorted(accepted, key=_by_claim), _by_claim)
    for worker, group in by_claim:
        replies = {row.id: reply for row, reply in group}
        values = {"worker": worker, "now": now}
        if is_sqlite:
            values["rows"] = json.dumps(list(replies.items()))
        else:
            values |= {
                "ids": list(replies),
                "replies": json.dumps(replies),
                "first": min(replies),
                "last": max(replies),
            }
        done = session.execute(_ALL_SENT_SQLITE if is_sqlite else _ALL_SENT_POSTGRESQL, values)
        marked += cast(CursorResult[Any], done).rowcount
    return marked


def _by_claim(accepted: tuple[Claimed, str]) -> str:
    return accepted[0].claimed_by


_ALL_SENT = """
    UPDATE deliveries SET status = 'sent', reason = NULL, finished_at = :now,
        reply = CASE WHEN recipient <> '' THEN {reply} END,
        claimed_by = NULL, leased_until = NULL
    {which} AND deliveries.status = 'claimed' AND deliveries.claimed_by = :worker
"""
_NOW = bindparam("now", type_=UtcDateTime())
_ALL_SENT_SQLITE = text(
    _ALL_SENT.format(
        reply="came.reply",
        which="""
    FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS reply FROM json_each(:rows)) AS came
    WHERE deliveries.id = came.id""",
    )
).bindparams(_NOW)
# No join: PostgreSQL expects one row of a claim that it has never seen, and would go through all of what came for each.
# And the ends of the range, for which it takes the index: for many single ids it reads the whole table. So the rows are
# also locked in the order of their ids, as when leases are renewed: from both ends it could be a deadlock.
_ALL_SENT_POSTGRESQL = text(
    _ALL_SENT.format(
        reply="CAST(:replies AS jsonb) ->> CAST(deliveries.id AS text)",
        which="WHERE deliveries.id BETWEEN :first AND :last AND deliveries.id = ANY(CAST(:ids AS bigint[]))",
    )
).bindparams(_NOW)


def failed(session: Session, delivery: Claimed, *, reason: str, reply: str | None, now: datetime) -> bool:
    """It will not be tried again."""
    return _mark(session, delivery, status=Status.FAILED, reply=reply, reason=reason, finished_at=now)


def retry(session: Session, delivery: Claimed, *, reason: str, reply: str | None, due_at: datetime) -> bool:
    """The server said "not now", or the letter could not be written: try again at `due_at`."""
    return _mark(session, delivery, status=Status.RETRY, reply=reply, reason=reason, due_at=due_at)


def unknown(session: Session, delivery: Claimed, *, resend_at: datetime) -> bool:
    """The final dot went out and no reply was seen: sent once more at `resend_at`, then left to the operator."""
    return _mark(session, delivery, status=Status.UNKNOWN, reply=None, reason="no_reply", due_at=resend_at)


def postpone(
    session: Session, deliveries: Sequence[Claimed], *, reason: str, reply: str | None, due_at: datetime
) -> None:
    """The server could not be reached: no attempt counts, and what may have arrived stays `unknown`."""
    values = {**untried(Status.RETRY), "reply": reply, "reason": reason, "due_at": due_at}
    _mark_alike(session, deliveries, values)


def give_back(session: Session, deliveries: Sequence[Claimed]) -> None:
    """Not touched after all: as they were before the claim."""
    _mark_alike(session, deliveries, untried(Status.PENDING))


def _mark(session: Session, delivery: Claimed, **values: object) -> bool:
    # A worker that overslept its lease must not overwrite what its successor wrote: only the claim's owner marks.
    is_ours = (
        Delivery.id == delivery.id,
        Delivery.status == Status.CLAIMED,
        Delivery.claimed_by == delivery.claimed_by,
    )
    ended = {**values, "claimed_by": None, "leased_until": None}
    return bool(change(session, update(Delivery).where(*is_ours).values(_anonymous_where_erased(ended))))


def _mark_alike(session: Session, deliveries: Sequence[Claimed], values: dict[str, object]) -> None:
    by_claim = attrgetter("claimed_by")
    for worker, group in groupby(sorted(deliveries, key=by_claim), by_claim):
        is_ours = (
            Delivery.id.in_([row.id for row in group]),
            Delivery.status == Status.CLAIMED,
            Delivery.claimed_by == worker,
        )
        change(session, update(Delivery).where(*is_ours).values(_anonymous_where_erased(values)))


def _anonymous_where_erased(values: dict[str, object]) -> dict[str, object]:
    """Servers quote the address that they speak of, and the reader may have been erased since the claim."""
    if values.get("reply") is None:
        return values
    return {**values, "reply": case((Delivery.recipient != "", values["reply"]))}


def untried(otherwise: Status) -> dict[str, object]:
    """What a row becomes that was claimed and not tried; `otherwise` unless it may have arrived already."""
    was_unknown = Delivery.resends > 0
    return {
        "status": case((was_unknown, _as(Status.UNKNOWN)), else_=_as(otherwise)),
        "attempts": Delivery.attempts - 1,
        "resends": case((was_unknown, Delivery.resends - 1), else_=0),
        "claimed_by": None,
        "leased_until": None,
    }


def _as(status: Status) -> ColumnElement[Status]:
    return literal(status, Delivery.status.type)
