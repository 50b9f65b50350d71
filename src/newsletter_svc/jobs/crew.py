"""A crew: senders as processes, a lane to each, forked from a process that does nothing but keep them running.

Whoever forks holds nothing that a fork would break: no thread, no connection to the database, no event loop. What was
imported is shared by all, so another sender costs some milliseconds.
"""

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import NamedTuple

import structlog
from sqlalchemy.orm import configure_mappers

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs import bells
from newsletter_svc.jobs.forks import forked, told_to_end
from newsletter_svc.jobs.process import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from newsletter_svc.mail.bulk import driver

GARBAGE_AT = 20_000
"""So many more objects made than thrown away, and the collector looks for circles."""
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
        _prepare()
        # What is here stays: the collector must not write to pages that all of them share. And a batch of mails is
        # some ten thousand objects, of which none goes in a circle: to look through them seven hundred at a time is in
        # vain.
        gc.freeze()
        gc.set_threshold(GARBAGE_AT)
        with bells.ready(orders) as bell:
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

    def _disband(self, bell: bells.Bell) -> bool:
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
            return self._work(lane, told_to_end(self._told))

        return forked(work)


def _prepare() -> None:
    """Do once what each sender would do at its start."""
    driver.prepare()
    configure_mappers()


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
            _prepare()
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
