"""Claims: deliveries that one sender holds for a while, with the journal that tells what it did with them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import repeat
from uuid import uuid4

from sqlalchemy import ColumnElement

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import journal, leases, ledger, mailings, pace, recovery
from newsletter_svc.delivery.fullness import Fullness
from newsletter_svc.delivery.journal import Journal
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.settings import Settings


@dataclass(frozen=True)
class Claim:
    """What one sender holds since `at`: when the first delivery may go, and how far apart the others follow."""

    worker: str
    deliveries: Sequence[Claimed]
    journal: Journal
    at: datetime
    first_at: datetime
    apart: timedelta = timedelta()

    def places(self) -> Iterator[datetime]:
        """When each delivery may go by the provider's rate, in their order."""
        if not self.apart:
            return repeat(self.first_at, len(self.deliveries))
        return (self.first_at + self.apart * number for number in range(len(self.deliveries)))


@dataclass
class Claims:
    """Takes claims for the senders of one process, and looks after them."""

    database: Database
    settings: Settings
    wanted: Mapping[str, ledger.StillWanted]
    now: Callable[[], datetime] = utcnow
    _live: dict[str, int | None] = field(default_factory=dict)
    """The claims that senders of this process hold, each with its mailing."""

    @cached_property
    def fullness(self) -> Fullness:
        """What its senders tell of a disk without room."""
        return Fullness(self.database)

    @contextmanager
    def take(self, *, limit: int) -> Iterator[Claim | None]:
        """A claim of mail that somebody waits for, for the length of a `with` block; None where nothing is due.

        The block commits how each delivery ended. If it raises instead, the journal stays, and `recover` settles what
        it names: so a database that goes away in mid-batch costs no mail and sends none twice.
        """
        claim = self.begin(None, limit=limit)
        try:
            yield claim
        except BaseException:
            if claim is not None:
                self.end(claim, done=False)
            raise
        if claim is not None:
            self.end(claim, done=True)

    def begin(self, mailing_id: int | None, *, limit: int) -> Claim | None:
        """Up to `limit` due deliveries of a mailing, or (for None) of those that somebody waits for.

        None where nothing is due. Whoever gets a claim says with `end` that it is over.
        """
        now = self.now()
        with self.database.reading() as session:
            ways = ledger.due_ways(session, mailing_id, now=now)
        if not ways:
            return None
        worker = _worker_name()
        # There is a journal before there is a claim, so that whoever finds the claim finds the journal too.
        own = Journal(self.settings.journal_dir, worker, mailing_id=mailing_id)
        try:
            claim = self._claim(mailing_id, worker, own, limit=limit, now=now, ways=ways)
        except BaseException:
            own.close(done=False)
            raise
        if not claim.deliveries:
            own.close(done=True)
            return None
        self._live[worker] = mailing_id
        return claim

    def end(self, claim: Claim, *, done: bool) -> None:
        """Let go of a claim: `done` when all its deliveries are marked, else its journal stays for `recover`."""
        self._live.pop(claim.worker, None)
        claim.journal.close(done=done)

    def renew(self) -> None:
        """Keep what this process is at; called now and then, since a sender that waits for a server cannot."""
        live = dict(self._live)
        if live:
            with self.database.transaction() as session:
                leases.renew(session, live, seconds=self.settings.delivery_lease_seconds, now=self.now())

    def recover(self) -> int:
        """Settle what killed senders left behind: by their journals on this machine, else when their lease is over.

        Returns how many claims the one, and how many deliveries the other settled, in all.
        """
        now = self.now()
        self._end_cancelled(now)
        self._close_finished()
        settled = recovery.recover(
            self.database,
            self.settings.journal_dir,
            unknown_resend_seconds=self.settings.unknown_resend_seconds,
            now=now,
        )
        journalled = journal.present(self.settings.journal_dir)
        with self.database.reading() as session:
            if not leases.any_expired(session, journalled=journalled, now=now):
                return settled
        with self.database.transaction() as session:
            return settled + leases.release_expired(session, journalled=journalled, now=now)

    def _close_finished(self) -> None:
        """Of two senders that end a mailing together, neither sees that it is the last."""
        with self.database.reading() as session:
            finished = [each for each in mailings.active(session) if mailings.is_finished(session, each)]
        for mailing_id in finished:
            with self.database.transaction() as session:
                mailings.close_finished(session, mailing_id)

    def _end_cancelled(self, now: datetime) -> None:
        """What senders gave back to a mailing that was cancelled meanwhile is not owed any more."""
        with self.database.reading() as session:
            mailing_ids = mailings.cancelled_with_rest(session)
        for mailing_id in mailing_ids:
            with self.database.transaction() as session:
                mailings.end_cancelled(session, mailing_id, now=now)

    def _claim(
        self,
        mailing_id: int | None,
        worker: str,
        own: Journal,
        *,
        limit: int,
        now: datetime,
        ways: Sequence[ColumnElement[bool]],
    ) -> Claim:
        lease = ledger.Lease(worker=worker, seconds=self.settings.delivery_lease_seconds)
        rate = self.settings.mail_max_per_second
        with self.database.transaction() as session:
            deliveries = ledger.claim(
                session, mailing_id, lease=lease, limit=limit, wanted=self.wanted, now=now, ways=ways
            )
            if rate is None or not deliveries:
                return Claim(worker, deliveries, own, now, now)
            start = pace.reserve(session, len(deliveries), per_second=rate, now=now)
        # A reader who waits in front of a page goes first: sign-in mail counts towards the rate, but never waits.
        first_at = now if mailing_id is None else start
        return Claim(worker, deliveries, own, now, first_at, timedelta(seconds=1 / rate))


def _worker_name() -> str:
    """Unique for each claim, so that a sender that overslept its lease cannot mark what it claimed again since."""
    return f"{os.uname().nodename[:40]}.{os.getpid()}.{uuid4().hex[:12]}"
