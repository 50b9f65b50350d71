"""Output that outlives its reader: what nobody can read any more must not end the work that it tells of."""

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO


class _Lasting(io.FileIO):
    """An open file; what cannot be written, since the terminal or the disk is gone, is left out."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def lasting(stream: TextIO) -> TextIO:
    """The same output through a stream that raises no OSError. One that is no file, as in tests, stays as it is."""
    try:
        number = stream.fileno()
    except OSError:
        return stream
    stream.flush()
    buffer = io.BufferedWriter(_Lasting(number, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=True)


@contextmanager
def outliving_the_terminal() -> Iterator[None]:
    """Go on when the terminal is closed or its line is lost, as a program under nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with redirect_stdout(lasting(sys.stdout)), redirect_stderr(lasting(sys.stderr)):
            try:
                yield
            finally:
                sys.stdout.flush()
    finally:
        signal.signal(signal.SIGHUP, before)
