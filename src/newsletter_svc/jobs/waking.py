"""The hint that something is due, from whoever owes it to the sender of this process."""

from collections.abc import Callable


class Waker:
    """Call it after a commit. Without a sender in this process it does nothing: another one finds the rows."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def attach(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def __call__(self) -> None:
        for listener in self._listeners:
            listener()
