"""A crew: senders as processes, a lane to each, forked from a process that does nothing but keep them running.

Whoever forks holds nothing that a fork would break: no thread, no connection to the database, no event loop. What was
imported is shared by all, so another sender costs some milliseconds.
"""

import contextlib
import gc
import os
import selectors
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType
from typing import NamedTuple

import structlog

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.process import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from newsletter_svc.mail.bulk import driver

KILL_SECONDS = 2.0
"""How much longer than they themselves grant it, senders are waited for."""

log = structlog.get_logger()

Work = Callable[[Lane, threading.Event], bool]
"""What one sender does until the event; whether what was in flight has ended."""


class Place(NamedTuple):
    """One that nobody has, and from when on somebody may."""

    free_at: float
    lane: Lane


class Member(NamedTuple):
    lane: Lane
    began: float


class Ended(NamedTuple):
    member: Member
    code: int


class Crew:
    """A sender for mail that somebody waits for, and `bulk` of them for digests.

    A sender that ended is replaced: the first time at once, since others wait for what its journal says, then after
    ever longer pauses. Each holds the reading end of a pipe and ends when the writing end is gone: closed by `keep`, or
    with the process that keeps them, however it ends.
    """

    def __init__(self, work: Work, *, bulk: int, stop_seconds: float) -> None:
        self._work = work
        self._stop_seconds = stop_seconds
        self._missing = [Place(0.0, lane) for lane in (Lane.TRANSACTIONAL, *[Lane.BULK] * bulk)]
        self._members: dict[int, Member] = {}
        self._told, self._hold = os.pipe()
        self._pauses = dict.fromkeys(Lane, 0.0)

    def keep(self, orders: int | None = None) -> bool:
        """Until SIGTERM or Ctrl-C, or the end of the input `orders`; False when a sender did not end in good order."""
        driver.prepare()
        # What is here stays: the collector must not write to pages that all of them share.
        gc.freeze()
        with _bell(orders) as bell:
            while not bell.is_told:
                self._fill()
                bell.wait(min((place.free_at for place in self._missing), default=inf) - monotonic())
                for ended in self._reap():
                    self._replace(ended)
            return self._disband(bell)

    def _fill(self) -> None:
        now = monotonic()
        due = [place for place in self._missing if place.free_at <= now]
        for place in due:
            self._missing.remove(place)
            self._members[self._fork(place.lane)] = Member(place.lane, now)

    def _reap(self) -> Iterator[Ended]:
        """Those that have ended since the last time."""
        while self._members:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if not process_id:
                return
            yield Ended(self._members.pop(process_id), os.waitstatus_to_exitcode(status))

    def _replace(self, ended: Ended) -> None:
        """Say when another one takes the place of this one."""
        now, (lane, began) = monotonic(), ended.member
        pause = 0.0 if now - began > LONGEST_PAUSE_SECONDS else self._pauses[lane]
        log.error("sender_ended", lane=lane, code=ended.code, next_in_seconds=pause)
        self._missing.append(Place(now + pause, lane))
        self._pauses[lane] = min(max(FIRST_PAUSE_SECONDS, 2 * pause), LONGEST_PAUSE_SECONDS)

    def _disband(self, bell: "_Bell") -> bool:
        """Let what is in flight end, and wait for it."""
        os.close(self._hold)
        os.close(self._told)
        codes, deadline = list[int](), monotonic() + self._stop_seconds + KILL_SECONDS
        while self._members and (seconds := deadline - monotonic()) > 0:
            bell.wait(seconds)
            codes += [ended.code for ended in self._reap()]
        for process_id in self._members:
            log.error("sender_killed", after_seconds=self._stop_seconds)
            os.kill(process_id, signal.SIGKILL)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]))
        return not any(codes)

    def _fork(self, lane: Lane) -> int:
        def work() -> bool:
            os.close(self._hold)
            return self._work(lane, _told_to_end(self._told))

        return forked(work)


class Reserve:
    """A process forked while this one is still empty, which becomes a crew when it is told of how many.

    What this process does in between, such as making an issue, it may do with threads and connections.
    """

    def __init__(self, work: Work, *, stop_seconds: float) -> None:
        self._code: int | None = None
        orders, hold = os.pipe()

        def wait_for_orders() -> bool:
            os.close(hold)
            # Ctrl-C reaches all processes of a terminal; the one in front says what is to be done.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            driver.prepare()
            bulk = os.read(orders, 1)
            return not bulk or Crew(work, bulk=bulk[0], stop_seconds=stop_seconds).keep(orders)

        self._process_id = forked(wait_for_orders)
        self._orders: int | None = hold
        os.close(orders)

    def start(self, *, bulk: int) -> None:
        """Have mail sent by a sender for sign-in mail and so many, up to 255, for digests; once, and before `stop`."""
        if self._orders is not None:
            with contextlib.suppress(BrokenPipeError):  # `has_ended` tells it.
                os.write(self._orders, bytes([bulk]))

    def has_ended(self) -> bool:
        """Whether the crew is gone, which it is before `stop` only when something has killed it."""
        return self._wait(os.WNOHANG) is not None

    def stop(self) -> bool:
        """Let what is in flight end; False when that was in vain. Once more it only says the same."""
        if self._orders is not None:
            os.close(self._orders)
            self._orders = None
        return self._wait() == 0

    def _wait(self, options: int = 0) -> int | None:
        """The exit code; None with WNOHANG while there is none."""
        if self._code is None:
            process_id, status = os.waitpid(self._process_id, options)
            self._code = os.waitstatus_to_exitcode(status) if process_id else None
        return self._code


def forked(work: Callable[[], bool]) -> int:
    """Return the id of a new process that does this work, and ends with it: exit code 0 where it returned True."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    process_id = os.fork()
    if process_id:
        return process_id
    code = 1
    try:
        code = 0 if work() else 1
    except Exception as error:
        # The class only: the text of a database error quotes rows, and rows hold addresses.
        log.error("sender_failed", error=type(error).__name__)
    finally:
        # Nothing of what its parent still has to do at its end, and no way back into the parent's code.
        os._exit(code)


def _told_to_end(pipe: int) -> threading.Event:
    """An event for a sender that was just forked: SIGTERM, or the end of the pipe that its keeper holds."""
    told = threading.Event()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    at_end_of(pipe, told.set)
    return told


def at_end_of(pipe: int, then: Callable[[], None]) -> None:
    """Wait in a thread for the end of this pipe, whose other end the parent holds however that one ends."""

    def wait() -> None:
        # Not through `sys.stdin`: a thread that waits inside it makes the interpreter fail when it ends.
        while os.read(pipe, 1):
            pass
        then()

    threading.Thread(target=wait, name="parent", daemon=True).start()


class _Bell:
    """Rings for signals, and at the end of the orders."""

    def __init__(self, orders: int | None) -> None:
        self.is_told = False
        self._rung, self.ring = os.pipe()
        os.set_blocking(self.ring, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._rung, selectors.EVENT_READ)
        if orders is not None:
            self._selector.register(orders, selectors.EVENT_READ)

    def wait(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds, which may be infinite."""
        for key, _ in self._selector.select(None if seconds == inf else max(0.0, seconds)):
            if not os.read(key.fd, 64):
                self._selector.unregister(key.fd)
                self.is_told = True

    def tell(self, _number: int, _frame: FrameType | None) -> None:
        self.is_told = True

    def close(self) -> None:
        self._selector.close()
        os.close(self._rung)
        os.close(self.ring)


@contextmanager
def _bell(orders: int | None) -> Iterator[_Bell]:
    """A bell, and this process's signals as they were before at the end."""
    bell = _Bell(orders)
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
    before = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        if handler != signal.SIG_IGN:
            signal.signal(number, _nothing if number == signal.SIGCHLD else bell.tell)
    signal.set_wakeup_fd(bell.ring)
    try:
        yield bell
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        bell.close()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A signal with a handler, even with this one, ends waiting."""
