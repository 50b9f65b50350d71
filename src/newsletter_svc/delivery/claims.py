"""Claims: deliveries that one sender holds for a while, with the journal that tells what it did with them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import journal, ledger, pace, recovery
from newsletter_svc.delivery.journal import Journal
from newsletter_svc.delivery.models import Delivery, Lane
from newsletter_svc.settings import Settings


@dataclass(frozen=True)
class Claim:
    """What one sender holds: when the first delivery may go, and how far apart the others follow."""

    worker: str
    deliveries: Sequence[Delivery]
    journal: Journal
    first_at: datetime
    apart: timedelta = timedelta()

    def place(self, number: int) -> datetime:
        """When the delivery with this number, from 0, may go by the provider's rate."""
        return self.first_at + self.apart * number


@dataclass
class Claims:
    """Takes claims for the threads of one process, and looks after them."""

    database: Database
    settings: Settings
    wanted: Mapping[str, ledger.StillWanted]
    now: Callable[[], datetime] = utcnow
    _live: set[str] = field(default_factory=set)

    @contextmanager
    def take(self, lane: Lane, *, limit: int) -> Iterator[Claim | None]:
        """A claim of up to `limit` due deliveries for the length of a `with` block; None where nothing is due.

        The block commits how each of them ended. If it raises instead, the journal stays, and `recover` settles what
        it names: so a database that goes away in mid-batch costs no mail and sends none twice.
        """
        now = self.now()
        with self.database.reading() as session:
            is_due = ledger.anything_due(session, lane, now=now)
        if not is_due:
            yield None
            return
        worker = _worker_name()
        # There is a journal before there is a claim, so that whoever finds the claim finds the journal too.
        with Journal(self.settings.journal_dir, worker) as own:
            claim = self._claim(lane, worker, own, limit=limit, now=now)
            self._live.add(worker)
            try:
                yield claim if claim.deliveries else None
            finally:
                self._live.discard(worker)

    def renew(self) -> None:
        """Keep what this process is at; called now and then, since a thread that waits for a server cannot."""
        workers = list(self._live)
        if workers:
            until = self.now() + timedelta(seconds=self.settings.delivery_lease_seconds)
            with self.database.transaction() as session:
                ledger.renew(session, workers=workers, until=until)

    def recover(self) -> int:
        """Settle what senders on this machine left behind when they were killed; return how many claims that were."""
        return recovery.recover(
            self.database,
            self.settings.journal_dir,
            unknown_resend_seconds=self.settings.unknown_resend_seconds,
            now=self.now(),
        )

    def _claim(self, lane: Lane, worker: str, own: Journal, *, limit: int, now: datetime) -> Claim:
        lease = ledger.Lease(worker=worker, seconds=self.settings.delivery_lease_seconds)
        rate = self.settings.mail_max_per_second
        if rate is not None:
            limit = max(1, min(limit, int(rate * lease.seconds / 4)))
        journalled = journal.present(self.settings.journal_dir)
        with self.database.transaction() as session:
            deliveries = ledger.claim(
                session, lane, lease=lease, limit=limit, wanted=self.wanted, now=now, journalled=journalled
            )
            if rate is None or not deliveries:
                return Claim(worker, deliveries, own, now)
            start = pace.reserve(session, len(deliveries), per_second=rate, now=now)
        # A reader who waits in front of a page goes first: sign-in mail counts towards the rate, but never waits.
        first_at = now if lane == Lane.TRANSACTIONAL else start
        return Claim(worker, deliveries, own, first_at, timedelta(seconds=1 / rate))


def _worker_name() -> str:
    """Unique for each claim, so that a thread that overslept its lease cannot mark what it claimed again since."""
    return f"{os.uname().nodename[:40]}.{os.getpid()}.{uuid4().hex[:12]}"
