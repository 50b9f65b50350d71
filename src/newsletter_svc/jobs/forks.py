"""A process that does one piece of work and ends with it, or with the end of a pipe that its parent holds."""

import os
import signal
import sys
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


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


def told_to_end(pipe: int) -> threading.Event:
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
