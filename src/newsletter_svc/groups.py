"""Doing together what many threads want done: one of them does it for all who have come meanwhile, and they wait."""

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from sqlalchemy.orm import Session

T = TypeVar("T")
Work = Callable[[Session], T]


class Job(Generic[T]):
    """What one thread wants done, and how that ended."""

    def __init__(self, work: Work[T], *, kept_by: type[Exception] | tuple[()]) -> None:
        """An error of the class `kept_by` is an ending of the work that undoes nothing."""
        self._work = work
        self._kept_by = kept_by
        self.is_over = False
        self._returned: T | None = None
        self._raised: BaseException | None = None
        # What is local to the thread's context, such as the request it answers, is the same for the work elsewhere.
        self._context = contextvars.copy_context()
        # A lock that its owner waits for, and whoever has news lets go: an Event is ten times as much work.
        self._news = threading.Lock()
        self._news.acquire()

    def do(self, session: Session) -> None:
        """Do it, and keep what it returns. Raises what it raises, unless that is an ending like any other."""
        try:
            self._returned = self._context.run(self._work, session)
            if session.new or session.dirty or session.deleted:
                raise TypeError("work of a group adds no objects: they would be written when others are at work")
        except Exception as error:
            self._raised = error
            if not isinstance(error, self._kept_by):
                raise

    def fail(self, error: BaseException) -> None:
        """It is undone; this is why, unless it failed by itself."""
        if self._raised is None or isinstance(self._raised, self._kept_by):
            self._raised = error

    def result(self) -> T:
        """What the work returned. Raises what it raised, or what undid it."""
        if self._raised is not None:
            raise self._raised
        return cast(T, self._returned)

    def wait(self) -> None:
        """Return when it is over, or when its thread is the one that is to lead."""
        self._news.acquire()

    def tell(self) -> None:
        self._news.release()


Take = Callable[[], Sequence[Job[object]]]
"""Gives whoever leads the jobs of the group, once it is ready for them."""


class Group:
    """Threads with jobs. Who finds nobody at work leads: it does a group of jobs, its own and those of who came while
    it got ready, and then hands the lead to the first who waits.
    """

    def __init__(self, perform: Callable[[Take], None], *, most: int) -> None:
        """`perform` takes jobs and does them, `most` in one go; what it raises has undone all of them."""
        self._perform = perform
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Job[object]] = deque()
        self._is_led = False

    def join(self, job: Job[T]) -> T:
        """Have the job done by whoever leads; return and raise as its work does, or raise what undid it."""
        if self._is_to_lead(cast(Job[object], job)):
            self._lead()
        return job.result()

    def _is_to_lead(self, job: Job[object]) -> bool:
        with self._lock:
            self._waiting.append(job)
            leads, self._is_led = not self._is_led, True
        if not leads:
            job.wait()
        return not job.is_over

    def _lead(self) -> None:
        taken: list[Job[object]] = []
        try:
            self._perform(lambda: self._take(taken))
        except BaseException as error:
            # Also those who came while this one waited in vain: they would only wait in vain for as long again.
            for job in taken or self._take(taken):
                job.fail(error)
        finally:
            self._dismiss(taken)

    def _take(self, taken: list[Job[object]]) -> list[Job[object]]:
        with self._lock:
            while self._waiting and len(taken) < self._most:
                taken.append(self._waiting.popleft())
        return taken

    def _dismiss(self, done: Sequence[Job[object]]) -> None:
        """Tell everybody of this group, and who is to lead the next one."""
        for job in done:
            job.is_over = True
            job.tell()
        with self._lock:
            if self._waiting:
                self._waiting[0].tell()
            else:
                self._is_led = False
