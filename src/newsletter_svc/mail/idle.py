"""SMTP connections between two messages: kept open for a few seconds, in case another message comes, then closed."""

import contextlib
import smtplib
import threading
from collections import deque
from time import monotonic, sleep

IDLE_SECONDS = 5.0
"""Far below the minutes that servers wait (RFC 5321 4.5.3.2.7), so that few are closed from the other side."""
QUIT_SECONDS = 2


class IdleConnections:
    """Greeted connections without a transaction. Safe to share between threads."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, smtplib.SMTP]] = deque()
        self._lock = threading.Lock()
        self._is_watched = False

    def take(self) -> smtplib.SMTP | None:
        """The one that waits for the shortest time. The server may have closed it: the first command will tell."""
        with self._lock:
            return self._waiting.pop()[1] if self._waiting else None

    def put(self, smtp: smtplib.SMTP) -> None:
        """Let it wait, and be closed when nobody takes it."""
        with self._lock:
            self._waiting.append((monotonic() + IDLE_SECONDS, smtp))
            if self._is_watched:
                return
            self._is_watched = True
        threading.Thread(target=self._watch, name="smtp-idle", daemon=True).start()

    def _watch(self) -> None:
        """Close one after the other, and end when none waits any more."""
        while (first := self._oldest()) is not None:
            until, smtp = first
            sleep(max(0.0, until - monotonic()))
            with self._lock:
                is_waiting = first in self._waiting
                if is_waiting:
                    self._waiting.remove(first)
            if is_waiting:
                leave(smtp)

    def _oldest(self) -> tuple[float, smtplib.SMTP] | None:
        with self._lock:
            self._is_watched = bool(self._waiting)
            return self._waiting[0] if self._waiting else None


def leave(smtp: smtplib.SMTP) -> None:
    """Close it with a QUIT. What was accepted stays accepted, whatever the server thinks of that."""
    with contextlib.suppress(OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(QUIT_SECONDS)
            smtp.docmd("QUIT")
    smtp.close()
