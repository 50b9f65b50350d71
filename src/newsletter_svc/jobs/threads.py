"""The sender inside a process: threads that sleep until something is due or somebody wakes them."""

import contextlib
import threading
from collections.abc import Callable, Collection
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
_THREADS = {
    # More than one, so that a server that hangs at one mail does not keep the others.
    Lane.TRANSACTIONAL: 3,
    # The bulk engine has many connections by itself.
    Lane.BULK: 1,
}

log = structlog.get_logger()


def send_until(told: threading.Event, sender: Sender, bulk: BulkLane, *, lane: Lane, stop_seconds: float) -> bool:
    """Send mail of this lane until `told`; False when what was in flight then took longer than `stop_seconds`."""
    threads = SenderThreads(sender, bulk, lanes=(lane,))
    threads.start()
    told.wait()
    return threads.stop(timeout=stop_seconds)


class SenderThreads:
    """The threads that send mail of these lanes; a service gives each lane a process of its own.

    Start it after a fork: threads do not survive one.
    """

    def __init__(self, sender: Sender, bulk: BulkLane, *, lanes: Collection[Lane] = tuple(Lane)) -> None:
        self._sender = sender
        self._bulk = bulk
        self._rounds: dict[Lane, Callable[[], Round]] = {
            Lane.TRANSACTIONAL: sender.run_round,
            Lane.BULK: bulk.send_due,
        }
        self._ears = {lane: Ear(sender.settings.wake_pipe, lane) for lane in lanes}
        self._wakes: dict[Lane, Queue[None]] = {lane: Queue(maxsize=1) for lane in lanes}
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"sender-{lane}-{number}", daemon=True)
            for lane in lanes
            for number in range(_THREADS[lane])
        ]
        self._threads.append(Care(sender, found=self.wake))
        self._threads += [
            threading.Thread(target=self._listen, args=(lane,), name=f"sender-ear-{lane}", daemon=True)
            for lane in lanes
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def has_ended(self) -> bool:
        """Never before `stop`: troubles are waited out."""
        return False

    def wake(self) -> None:
        """Something is due now."""
        for lane in self._wakes:
            self._wake_one(lane)

    def stop(self, timeout: float = 30) -> bool:
        """Let what is in flight end and start nothing new; False when that took longer than `timeout` seconds."""
        self._sender.stopping.set()
        for ear in self._ears.values():
            ear.stop()
        self._bulk.stopping.set()
        self.wake()
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _listen(self, lane: Lane) -> None:
        """Pass on what wakers in any process of this machine say."""
        ear = self._ears[lane]
        while ear.hears():
            self._wake_one(lane)
        ear.close()

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
