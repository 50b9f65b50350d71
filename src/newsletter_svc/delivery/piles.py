"""What a sender has claimed and not begun with, where others can take it away when the server hangs at one mail."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Pile(Generic[T]):
    """One claim's messages, of which its owner takes one after the other, until somebody has taken the rest."""

    def __init__(self, items: Sequence[T]) -> None:
        self._lock = threading.Lock()
        self._left = deque(items)
        self._since = monotonic()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._lock:
                if not self._left:
                    return
                item = self._left.popleft()
                self._since = monotonic()
            yield item

    def rest(self) -> list[T]:
        """All that nobody has begun with; from now on it is the caller's."""
        with self._lock:
            rest = list(self._left)
            self._left.clear()
        return rest

    def put_back(self, items: Sequence[T]) -> None:
        with self._lock:
            self._left.extendleft(reversed(items))

    def is_stuck(self, seconds: float) -> bool:
        """Whether its owner has been at one message for so long, and more are waiting."""
        with self._lock:
            return bool(self._left) and monotonic() - self._since > seconds


class Piles(Generic[T]):
    """Those that the threads of a process are at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: list[Pile[T]] = []

    @contextmanager
    def at(self, items: Sequence[T]) -> Iterator[Pile[T]]:
        """A pile that others can see for the length of a `with` block."""
        pile = Pile(items)
        with self._lock:
            self._live.append(pile)
        try:
            yield pile
        finally:
            with self._lock:
                self._live.remove(pile)

    def stuck(self, seconds: float) -> list[Pile[T]]:
        with self._lock:
            return [pile for pile in self._live if pile.is_stuck(seconds)]
