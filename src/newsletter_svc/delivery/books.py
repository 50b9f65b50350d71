"""The bulk lane's dealings with the database: claiming what is due, and marking how it ended. No network here."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.orm import Session

from newsletter_svc.delivery import ledger, mailings, marks, outcomes
from newsletter_svc.delivery.claims import Claim, Claims
from newsletter_svc.delivery.endings import Ending, Item, Mark
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.mail import replies
from newsletter_svc.mail.message import Copy

log = structlog.get_logger()


class WriteCopies(Protocol):
    """One letter's copies for many readers, by the ids of their deliveries, which all belong to one mailing.

    Features hand it over. A reader whose row is gone gets none.
    """

    def __call__(self, session: Session, deliveries: Sequence[Claimed]) -> Mapping[int, Copy]: ...


@dataclass(frozen=True)
class Batch:
    """What one claim brought: items that can go, and marks for those that nobody could write."""

    claim: Claim
    items: list[Item] = field(default_factory=list)
    unwritten: list[Mark] = field(default_factory=list)


class Books:
    """The claims of one run, each until all its deliveries are marked. `only` keeps to one mailing."""

    def __init__(self, claims: Claims, letters: Mapping[str, WriteCopies], *, only: int | None = None) -> None:
        self._claims = claims
        self._letters = letters
        self._only = only
        self._unmarked: Counter[str] = Counter()
        self._open: dict[str, Claim] = {}

    @property
    def now(self) -> Callable[[], datetime]:
        return self._claims.now

    @property
    def may_block(self) -> bool:
        """Whether the database is another program, which is waited for. SQLite works in this one."""
        return self._claims.database.engine.dialect.name != "sqlite"

    def anything_due(self) -> bool:
        """Whether `claim` would find something."""
        with self._claims.database.reading() as session:
            return any(ledger.anything_due(session, each, now=self._claims.now()) for each in self._active(session))

    def claim(self, *, limit: int) -> Batch | None:
        """Up to `limit` deliveries of the oldest mailing that has something due; None where none has."""
        with self._claims.database.reading() as session:
            active = self._active(session)
        for mailing_id in active:
            claim = self._claims.begin(mailing_id, limit=limit)
            if claim is not None:
                self._open[claim.worker] = claim
                self._unmarked[claim.worker] = len(claim.deliveries)
                return self._write(claim, mailing_id)
            self._close_if_finished(mailing_id)
        return None

    def mark(self, ended: Ending) -> None:
        """Write down how deliveries ended, in one transaction; claims that are marked to the last one are over."""
        now = self._claims.now()
        with self._claims.database.transaction() as session:
            if session.get_bind().dialect.name == "postgresql":
                # What the journal knows need not wait for the disk; should the database's host lose power in the next
                # second, these come again.
                session.execute(text("SET LOCAL synchronous_commit TO off"))
            accepted = [(item.delivery, replies.accepted(reply.code, reply.text)) for item, reply in ended.accepted]
            marks.all_sent(session, accepted, now=now)
            for note in ended.notes:
                note.mark(session)
            for mailing_id, count in sorted(Counter(item.mailing_id for item, _ in ended.accepted).items()):
                mailings.count_accepted(session, mailing_id, count, now=now)
                log.info("deliveries_sent", mailing=mailing_id, deliveries=count)
        self._unmarked.subtract(item.claim.worker for item, _ in ended.accepted)
        for note in ended.notes:
            self._unmarked[note.claim.worker] -= note.deliveries
        for worker in [worker for worker in self._open if self._unmarked[worker] <= 0]:
            self._end(worker, done=True)

    def inactive(self, mailing_ids: set[int]) -> set[int]:
        """Which of these were paused or cancelled meanwhile."""
        with self._claims.database.reading() as session:
            return mailings.inactive(session, mailing_ids)

    def hear(self, error: DBAPIError) -> None:
        """Look at what the database ran into."""
        self._claims.fullness.hear(error)

    def renew(self) -> None:
        self._claims.renew()

    def abandon(self) -> None:
        """Leave what could not be marked to the journals."""
        for worker in list(self._open):
            self._end(worker, done=False)

    def _active(self, session: Session) -> Sequence[int]:
        active = mailings.active(session)
        return active if self._only is None else [each for each in active if each == self._only]

    def _write(self, claim: Claim, mailing_id: int) -> Batch:
        batch, kind = Batch(claim), claim.deliveries[0].kind
        try:
            with self._claims.database.reading() as session:
                copies = self._letters[kind](session, claim.deliveries)
        except DBAPIError:
            raise
        except Exception as error:
            # A broken template is our fault and can be mended: no reader must lose the mail by it.
            not_written = partial(outcomes.not_written, error=error, now=claim.at)
            batch.unwritten.extend(partial(not_written, delivery=delivery) for delivery in claim.deliveries)
            return batch
        for delivery, place in zip(claim.deliveries, claim.places(), strict=True):
            copy = copies.get(delivery.id)
            if copy is not None:
                batch.items.append(Item(delivery, copy, claim, mailing_id, place))
            else:
                gone = partial(outcomes.unsendable, delivery=delivery, error=NoResultFound(), now=claim.at)
                batch.unwritten.append(gone)
        return batch

    def _close_if_finished(self, mailing_id: int) -> None:
        database = self._claims.database
        with database.reading() as session:
            is_finished = mailings.is_finished(session, mailing_id)
        if is_finished:
            with database.transaction() as session:
                mailings.close_finished(session, mailing_id)

    def _end(self, worker: str, *, done: bool) -> None:
        del self._unmarked[worker]
        self._claims.end(self._open.pop(worker), done=done)
