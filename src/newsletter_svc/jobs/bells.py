"""Waiting for signals, for the end of a pipe, and for a moment, all at once."""

import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import FrameType


class Bell:
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
def ready(orders: int | None) -> Iterator[Bell]:
    """A bell, and this process's signals as they were before at the end."""
    bell = Bell(orders)
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
