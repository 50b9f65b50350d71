"""The sender: takes due deliveries, hands them to the mail server one by one, and writes down how each ended."""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import uuid4

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, ledger, outcomes, pace, retries
from newsletter_svc.delivery.models import Delivery, Lane
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import OutcomeUnknown, Refusal, SenderRefused, ServerUnavailable
from newsletter_svc.mail.message import Letter, OutgoingMessage
from newsletter_svc.mail.transport import Transport
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring

BATCH = 20
"""How many deliveries one claim takes: few, since those of a killed sender wait until its lease runs out."""
REFUSED_PAUSE = timedelta(minutes=1)
MARK_PAUSE_SECONDS = 1.0

log = structlog.get_logger()


class WriteLetter(Protocol):
    """Writes the letter for a delivery of one kind. Features hand it over."""

    def __call__(self, session: Session, delivery: Delivery, *, now: datetime) -> Letter: ...


@dataclass(frozen=True)
class Round:
    """What one round did: how many deliveries it ended or moved, and how long the mail server is to be left alone."""

    handled: int
    pause: timedelta = timedelta()


@dataclass
class Sender:
    """Sends what is due. One instance serves all threads of a process; each thread runs rounds of its own lane."""

    database: Database
    transport: Transport
    composer: Composer
    keyring: Keyring
    settings: Settings
    letters: Mapping[str, WriteLetter]
    wanted: Mapping[str, ledger.StillWanted]
    now: Callable[[], datetime] = utcnow
    stopping: threading.Event = field(default_factory=threading.Event)
    _troubles: dict[Lane, int] = field(default_factory=dict)
    _live: set[str] = field(default_factory=set)
    """The claims at which a thread of this process is."""

    def run_round(self, lane: Lane) -> Round:
        """Claim a batch and send it. Nothing is sent without a committed claim, or with a transaction open."""
        batch = self._claim(lane)
        if not batch.deliveries:
            return Round(handled=0)
        self._live.add(batch.worker)
        try:
            return self._send(lane, batch)
        finally:
            self._live.discard(batch.worker)

    def renew_leases(self) -> None:
        """Keep what this process is at; called now and then, since a thread that waits for a server cannot."""
        workers = list(self._live)
        if workers:
            until = self.now() + timedelta(seconds=self.settings.delivery_lease_seconds)
            with self.database.transaction() as session:
                ledger.renew(session, workers=workers, until=until)

    def _send(self, lane: Lane, batch: "_Batch") -> Round:
        waiting = list(batch.deliveries)
        try:
            with self.transport.connect() as connection:
                while waiting and self._goes_on(batch, len(waiting)):
                    self._deliver(waiting[0], connection.send)
                    del waiting[0]
        except ServerUnavailable as failure:
            return self._postpone(lane, batch, waiting, failure)
        except SenderRefused as failure:
            return self._stop(batch, waiting, failure)
        self._troubles[lane] = 0
        self._write_down(lambda session: [ledger.give_back(session, delivery) for delivery in waiting])
        return Round(handled=len(batch.deliveries) - len(waiting))

    def _claim(self, lane: Lane) -> "_Batch":
        now = self.now()
        with self.database.reading() as session:
            if not ledger.anything_due(session, lane, now=now):
                return _Batch([], "", now)
        lease = ledger.Lease(worker=_worker_name(), seconds=self.settings.delivery_lease_seconds)
        rate = self.settings.mail_max_per_second
        limit = BATCH if rate is None else max(1, min(BATCH, int(rate * lease.seconds / 4)))
        with self.database.transaction() as session:
            deliveries = ledger.claim(session, lane, lease=lease, limit=limit, wanted=self.wanted, now=now)
            if rate is None or not deliveries:
                return _Batch(deliveries, lease.worker, now)
            start = pace.reserve(session, len(deliveries), per_second=rate, now=now)
            # A reader who waits in front of a page goes first: sign-in mail counts towards the rate, but never waits.
            first_at = now if lane == Lane.TRANSACTIONAL else start
            return _Batch(deliveries, lease.worker, first_at, timedelta(seconds=1 / rate))

    def _goes_on(self, batch: "_Batch", left: int) -> bool:
        """Wait for this message's place in the rate; False when the process is to end."""
        place = batch.first_at + batch.apart * (len(batch.deliveries) - left)
        return not self.stopping.wait(max(0.0, (place - self.now()).total_seconds()))

    def _deliver(self, delivery: Delivery, send: Callable[[OutgoingMessage], str]) -> None:
        try:
            message = self._compose(delivery)
        except OperationalError:
            raise
        except Exception as error:
            self._write_down(partial(outcomes.unsendable, delivery=delivery, error=error, now=self.now()))
            return
        try:
            reply = send(message)
        except Refusal as refusal:
            self._write_down(partial(outcomes.refused, delivery=delivery, refusal=refusal, now=self.now()))
        except OutcomeUnknown as failure:
            self._write_down(partial(self._unanswered, delivery=delivery, failure=failure))
        else:
            self._write_down(partial(outcomes.accepted, delivery=delivery, reply=reply, now=self.now()))

    def _compose(self, delivery: Delivery) -> OutgoingMessage:
        now = self.now()
        with self.database.reading() as session:
            letter = self.letters[delivery.kind](session, delivery, now=now)
        envelope_sender = envelope.sender_for(
            delivery.id,
            bounce_address=self.settings.bounce_address,
            default=self.settings.mail_default_sender,
            keyring=self.keyring,
        )
        return self.composer.finish(letter, message_id=delivery.message_id, date=now, envelope_sender=envelope_sender)

    def _unanswered(self, session: Session, *, delivery: Delivery, failure: OutcomeUnknown) -> None:
        seconds = self.settings.unknown_resend_seconds
        outcomes.unanswered(session, delivery, failure, unknown_resend_seconds=seconds, now=self.now())

    def _postpone(self, lane: Lane, batch: "_Batch", waiting: Sequence[Delivery], failure: ServerUnavailable) -> Round:
        """Nobody is to blame but the server: all that is left of the batch waits a little, and no attempt counts."""
        self._troubles[lane] = self._troubles.get(lane, 0) + 1
        pause = retries.after_no_server(self._troubles[lane])
        self._write_down(partial(outcomes.postponed, deliveries=waiting, failure=failure, due_at=self.now() + pause))
        return Round(handled=len(batch.deliveries) - len(waiting), pause=pause)

    def _stop(self, batch: "_Batch", waiting: Sequence[Delivery], failure: SenderRefused) -> Round:
        log.error("sender_refused", stage=failure.stage, reply=failure.text)
        self._write_down(lambda session: [ledger.give_back(session, delivery) for delivery in waiting])
        return Round(handled=len(batch.deliveries) - len(waiting), pause=REFUSED_PAUSE)

    def _write_down(self, change: Callable[[Session], object]) -> None:
        """Commit what happened. It has happened whether or not the database is there, so this waits for it."""
        while True:
            try:
                with self.database.transaction() as session:
                    change(session)
                return
            except OperationalError as error:
                log.error("database_away", during="mark", error=type(error.orig).__name__)
                if self.stopping.wait(MARK_PAUSE_SECONDS):
                    raise


@dataclass(frozen=True)
class _Batch:
    """Claimed deliveries, by whom, when the first of them may go, and how far apart the others follow."""

    deliveries: Sequence[Delivery]
    worker: str
    first_at: datetime
    apart: timedelta = timedelta()


def _worker_name() -> str:
    """Unique for each claim, so that a thread that overslept its lease cannot mark what it claimed again since."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid4().hex[:12]}"
