"""The sender inside a process: threads that sleep until something is due or somebody wakes them."""

import contextlib
import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from time import monotonic

import structlog

from newsletter_svc.delivery.bulk import BulkLane
from newsletter_svc.delivery.models import Lane
from newsletter_svc.delivery.sender import Round, Sender
from newsletter_svc.jobs.care import Care
from newsletter_svc.jobs.waking import Ear

POLL_SECONDS = 1.0
"""How often a sleeping thread looks for what nobody told it of: another machine's work, or mail whose hour has come."""
TROUBLE_SECONDS = 5.0
TRANSACTIONAL_THREADS = 3
"""More than one, so that a server that hangs at one mail does not keep the others."""

log = structlog.get_logger()


class SenderThreads:
    """Threads of their own for mail that somebody waits for, and one for digests, whose engine has many connections.

    Start it after a fork: threads do not survive one.
    """

    def __init__(self, sender: Sender, bulk: BulkLane) -> None:
        self._sender = sender
        self._bulk = bulk
        self._rounds: dict[Lane, Callable[[], Round]] = {
            Lane.TRANSACTIONAL: sender.run_round,
            Lane.BULK: bulk.send_due,
        }
        self._ear = Ear(sender.settings.wake_pipe)
        self._wakes: dict[Lane, Queue[None]] = {lane: Queue(maxsize=1) for lane in Lane}
        lanes = [Lane.TRANSACTIONAL] * TRANSACTIONAL_THREADS + [Lane.BULK]
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"sender-{lane}-{number}", daemon=True)
            for number, lane in enumerate(lanes)
        ]
        self._threads.append(Care(sender, found=self.wake))
        self._threads.append(threading.Thread(target=self._listen, name="sender-ear", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something is due now."""
        for lane in Lane:
            self._wake_one(lane)

    def stop(self, timeout: float = 30) -> bool:
        """Let what is in flight end and start nothing new; False when that took longer than `timeout` seconds."""
        self._sender.stopping.set()
        self._ear.stop()
        self._bulk.stopping.set()
        self.wake()
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _listen(self) -> None:
        """Pass on what wakers in any process of this machine say."""
        while self._ear.hears():
            self.wake()
        self._ear.close()

    def _wake_one(self, lane: Lane) -> None:
        """Wake one thread of the lane; if it finds something it wakes the next: all at once would be in the way."""
        with contextlib.suppress(Full):
            self._wakes[lane].put_nowait(None)

    def _run(self, lane: Lane) -> None:
        while not self._sender.stopping.is_set():
            seconds = self._round(lane)
            if seconds > POLL_SECONDS:
                # After a trouble nobody wakes it early: a wake for each new mail would be a try for each new mail.
                self._sender.stopping.wait(seconds)
            elif seconds:
                with contextlib.suppress(Empty):
                    self._wakes[lane].get(timeout=seconds)
            else:
                self._wake_one(lane)
        self._wake_one(lane)  # The next one is to end, too.

    def _round(self, lane: Lane) -> float:
        """Run one round and say how long to sleep after it."""
        try:
            done = self._rounds[lane]()
        except Exception as error:
            # The class only: the text of a database error quotes rows, and rows hold addresses.
            log.error("sender_trouble", lane=lane, error=type(error).__name__)
            self._sender.claims.fullness.hear(error)
            return TROUBLE_SECONDS
        if done.pause:
            return done.pause.total_seconds()
        return 0 if done.handled else POLL_SECONDS
