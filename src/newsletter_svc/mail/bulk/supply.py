"""What all connections take from: first what came back untouched, then the feed, never faster than the rate."""

from collections import deque
from collections.abc import Callable

from newsletter_svc.mail.bulk.parcels import Feed, Parcel
from newsletter_svc.mail.failures import DeliveryError

TRIES = 12
"""How often a parcel may come back untouched before the feed has it back: it may be what breaks the connections."""
_SUSPICION = 5  # What it counts to come back from a connection that has carried nothing else.
_REMEMBERED = 10_000  # Servers that close after a few messages must not make this grow with the number of readers.
_SLACK_SECONDS = 0.02  # Timers are late by milliseconds; so much may be caught up with.


class Supply:
    """A feed for conversations in front of the caller's feed.

    `on_dry` is called when nothing was there to be taken, with the seconds after which the rate allows the next one
    (None where time alone does not help); `on_return` when a parcel came back.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        clock: Callable[[], float],
        on_dry: Callable[[float | None], None],
        on_return: Callable[[], None],
        per_second: float | None = None,
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._on_dry = on_dry
        self._on_return = on_return
        self._interval = 1 / per_second if per_second else 0.0
        self._next_at = 0.0
        self._again: deque[Parcel] = deque()
        self._returns: dict[int, int] = {}
        self._is_closed = False
        # Nothing happens here on the way, so the hot path goes straight to the caller.
        self.intent = feed.intent
        self.accepted = feed.accepted
        self.refused = feed.refused
        self.unknown = feed.unknown

    @property
    def is_exhausted(self) -> bool:
        return self._is_closed or (not self._again and self._feed.is_exhausted)

    def take(self) -> Parcel | None:
        wait = self._seconds_to_wait() if self._interval else 0.0
        parcel = None if wait else self._pull()
        if parcel is None:
            self._on_dry(wait or None)
        elif self._interval:
            self._next_at = max(self._next_at, self._clock() - _SLACK_SECONDS) + self._interval
        return parcel

    def has_any(self) -> bool:
        """Whether it is worth opening a connection."""
        if not self._again and (parcel := self._pull()) is not None:
            self._again.append(parcel)
        return bool(self._again)

    def returned(self, parcel: Parcel, failure: DeliveryError | None) -> None:
        """Keep a parcel for another connection; one that keeps coming back goes back to the feed."""
        tries = self._returns.get(parcel.key, 0) + (failure is not None)
        if self._is_closed or tries >= TRIES:
            self._returns.pop(parcel.key, None)
            self._feed.returned(parcel, failure)
            return
        self._returns[parcel.key] = tries
        if len(self._returns) > _REMEMBERED:
            del self._returns[next(iter(self._returns))]
        self._again.append(parcel)
        self._on_return()

    def suspect(self, parcel: Parcel) -> None:
        """Count a return more heavily, since nothing but this parcel was there to break the connection."""
        if parcel.key in self._returns:
            self._returns[parcel.key] += _SUSPICION

    def close(self, failure: DeliveryError | None = None) -> None:
        """Hand out nothing any more, and give back what waits here."""
        self._is_closed = True
        while self._again:
            self._feed.returned(self._again.popleft(), failure)

    def _pull(self) -> Parcel | None:
        if self._is_closed:
            return None
        return self._again.popleft() if self._again else self._feed.take()

    def _seconds_to_wait(self) -> float:
        return max(0.0, self._next_at - self._clock())
