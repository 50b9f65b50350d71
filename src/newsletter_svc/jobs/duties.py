"""What workers do when they are hinted at: send what is due, look for what no hint led to, make issues, throw away."""

import threading
import time
from dataclasses import dataclass, field

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger, mailings
from newsletter_svc.delivery.bulk import BulkLane
from newsletter_svc.delivery.sender import Sender
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import Press
from newsletter_svc.jobs import purging
from newsletter_svc.jobs.celery_app import Task
from newsletter_svc.jobs.hints import Hints

WORTH_HELP = 100
"""With fewer deliveries due a helper on another machine comes too late to be one."""


@dataclass
class Rest:
    """For how long this process leaves the mail server alone, whoever hints at more mail."""

    _until: float = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def begin(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds


@dataclass
class Duties:
    """One instance serves all threads of a node."""

    sender: Sender
    bulk: BulkLane
    press: Press
    hints: Hints
    _single_rest: Rest = field(default_factory=Rest)
    _bulk_rest: Rest = field(default_factory=Rest)
    _chore: threading.Lock = field(default_factory=threading.Lock)

    @property
    def database(self) -> Database:
        return self.sender.database

    def stop(self) -> None:
        """Let what is in flight end, and start nothing new."""
        self.sender.stopping.set()
        self.bulk.stopping.set()

    def send_single(self) -> None:
        """Send mail that somebody waits for, until there is none; others help when there is more than one."""
        if not self._single_rest.is_over:
            return
        if self._is_more_due_than(1, None):
            self.hints.send(Task.SEND_SINGLE)
        while not self.sender.stopping.is_set():
            done = self.sender.run_round()
            if done.pause:
                self._single_rest.begin(done.pause.total_seconds())
            if done.pause or not done.handled:
                return

    def carry(self, mailing_id: int) -> None:
        """Send what is due of a mailing; where that pays, ask for one more such helper before.

        Each helper asks for the next, so every idle one on every machine joins in, and the chain ends with the first
        that finds nothing left.
        """
        if not self._bulk_rest.is_over or self.bulk.stopping.is_set():
            return
        if self._is_more_due_than(WORTH_HELP, mailing_id):
            self.hints.send(Task.CARRY, mailing_id)
        done = self.bulk.send_due(mailing_id=mailing_id)
        if done.pause:
            self._bulk_rest.begin(done.pause.total_seconds())

    def sweep(self) -> None:
        """Hint at whatever is due."""
        now = utcnow()
        with self.database.reading() as session:
            due = [each for each in mailings.active(session) if ledger.anything_due(session, each, now=now)]
            is_mail_due = ledger.anything_due(session, None, now=now)
        for mailing_id in due:
            self.hints.send(Task.CARRY, mailing_id)
        if is_mail_due:
            self.hints.send(Task.SEND_SINGLE)

    def run_due(self) -> None:
        """Make every issue that is due, and have it sent."""
        if not self._chore.acquire(blocking=False):
            return  # Another chore has the thread that sign-in mail can spare; the next minute asks again.
        try:
            made = runs.run_due(self.database, press=self.press, now=utcnow())
        finally:
            self._chore.release()
        if any(run.digest_id for run in made):
            self.sweep()

    def purge(self) -> None:
        """Throw away what is no longer needed."""
        with self._chore:
            purging.purge(self.database, self.sender.settings, now=utcnow())

    def _is_more_due_than(self, count: int, mailing_id: int | None) -> bool:
        with self.database.reading() as session:
            return ledger.is_more_due_than(count, session, mailing_id, now=utcnow())
