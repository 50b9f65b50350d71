"""The sender as a process of its own: one on each machine, kept running from inside the web processes."""

import fcntl
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import structlog

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

log = structlog.get_logger()


class SenderProcess:
    """Keeps `command` running, by whichever web process of this machine holds the lock.

    The kernel passes the lock on when its holder dies, however it dies. The sender in turn has a pipe as its standard
    input and ends when that ends: because `stop` closed the other end, or because the process that held it is gone.
    """

    def __init__(self, command: Sequence[str], *, lock: Path, is_wanted: Callable[[], bool]) -> None:
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

    def stop(self, timeout: float) -> None:
        """Have the sender end what is in flight; kill it when that takes longer than `timeout` seconds."""
        with self._changing:
            self._over.set()
            process = self._process
        if process is None:
            return
        _end_input(process)
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.error("sender_killed", after_seconds=timeout)
            process.kill()

    def _run(self) -> None:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
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


def _end_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
