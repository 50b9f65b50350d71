"""Senders as processes of their own: one on each machine, kept by the web processes, or a worker's nodes."""

import fcntl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic

import structlog

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

log = structlog.get_logger()


def always() -> bool:
    return True


class SenderProcess:
    """Keeps `command` running, by whichever process of this machine holds the lock; without one there are no others.

    The kernel passes the lock on when its holder dies, however it dies. The sender in turn has a pipe as its standard
    input and ends when that ends: because `stop` closed the other end, or because the process that held it is gone.
    """

    def __init__(self, command: Sequence[str], *, lock: Path | None, is_wanted: Callable[[], bool] = always) -> None:
        self._command = command
        self._lock = lock
        self._is_wanted = is_wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._over = threading.Event()
        # A daemon, since it may wait for the lock until the end of this process.
        self._thread = threading.Thread(target=self._run, name="sender-process", daemon=True)

    def start(self) -> None:
        """Start watching. After a fork: threads do not survive one."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have the sender end what is in flight; who keeps several asks all of them before it waits for each."""
        with self._changing:
            self._over.set()
            if self._process is not None:
                _end_input(self._process)

    def stop(self, timeout: float) -> bool:
        """Have the sender end what is in flight; False when it had to be killed after `timeout` seconds."""
        self.ask_to_stop()
        if self._process is None:
            return True
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return True
        log.error("sender_killed", after_seconds=timeout)
        self._process.kill()
        return False

    def _run(self) -> None:
        with nullcontext() if self._lock is None else _held(self._lock):
            pause, began = FIRST_PAUSE_SECONDS, monotonic()
            while (how := self._live_once()) is not None:
                if monotonic() - began > LONGEST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                log.error("sender_ended", how=how, next_in_seconds=pause)
                self._over.wait(pause)
                pause, began = min(2 * pause, LONGEST_PAUSE_SECONDS), monotonic()

    def _live_once(self) -> str | None:
        """Run one sender to its end and say how it ended; None when none is wanted any more."""
        try:
            process = self._begin()
            how = None if process is None else f"exit code {process.wait()}"
        except OSError as error:
            how = type(error).__name__
        return None if self._over.is_set() else how

    def _begin(self) -> subprocess.Popen[bytes] | None:
        """Start the sender, unless this process is about to end. Raises OSError."""
        with self._changing:
            if self._over.is_set() or not self._is_wanted():
                return None
            if self._process is not None:
                _end_input(self._process)
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - a command of ours.
            return self._process


@contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
