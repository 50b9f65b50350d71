"""The hint that something is due: named pipes, one for each lane, through which any process wakes the senders."""

import contextlib
import os
import selectors
import socket
import stat
from pathlib import Path
from typing import Protocol

import structlog

from newsletter_svc.delivery.models import Lane

log = structlog.get_logger()


class Wake(Protocol):
    """Tells senders that something is due: in this lane, or (None) in whichever."""

    def __call__(self, lane: Lane | None = None) -> None: ...


class Waker:
    """Call it after a commit. Where nobody listens it does nothing: senders look by themselves now and then."""

    def __init__(self, pipe: Path) -> None:
        self._pipes = {lane: str(_of(pipe, lane)) for lane in Lane}

    def __call__(self, lane: Lane | None = None) -> None:
        for each in Lane if lane is None else (lane,):
            self._tell(self._pipes[each])

    @staticmethod
    def _tell(pipe: str) -> None:
        # No pipe yet, nobody who reads it, or one that is full of hints: in each case there is nobody left to wake.
        with contextlib.suppress(OSError):
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if stat.S_ISFIFO(os.fstat(end).st_mode):
                    os.write(end, b"\n")
            finally:
                os.close(end)


class Ear:
    """A sender's end of its lane's pipe.

    Of several senders one hears each hint, at least; the others see it at their poll.
    """

    def __init__(self, pipe: Path, lane: Lane) -> None:
        self._pipe = _open(_of(pipe, lane))
        self._told, self._tell = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._told, selectors.EVENT_READ)
        if self._pipe is not None:
            self._selector.register(self._pipe, selectors.EVENT_READ)

    def hears(self) -> bool:
        """Wait until somebody wakes the senders; False once `stop` was called."""
        for key, _ in self._selector.select():
            if key.fileobj is self._told:
                return False
            with contextlib.suppress(BlockingIOError):  # Another sender was faster; the hint was for both.
                os.read(key.fd, 64 * 1024)
        return True

    def stop(self) -> None:
        """Let `hears` return. From any thread, and more than once."""
        with contextlib.suppress(OSError):
            self._tell.send(b"\n")

    def close(self) -> None:
        self._selector.close()
        self._told.close()
        self._tell.close()
        if self._pipe is not None:
            os.close(self._pipe)


def _of(pipe: Path, lane: Lane) -> Path:
    """The lane's own: a sender of the other lane would take the hint and leave its mail to the next poll."""
    return pipe.with_name(f"{pipe.name}.{lane}")


def _open(pipe: Path) -> int | None:
    """The pipe, made if need be; None on a disk that has no named pipes, where senders live by their polls."""
    try:
        pipe.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(pipe, 0o600)
        # Open for writing too: else it would be at its end, and ready to read, whenever no waker has it open.
        end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        log.warning("no_wake_pipe", error=type(error).__name__)
        return None
    if stat.S_ISFIFO(os.fstat(end).st_mode):
        return end
    os.close(end)
    log.warning("no_wake_pipe", error="there is a file of another kind")
    return None
