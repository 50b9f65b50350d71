"""A feed that hands out what it was given and writes down how each parcel ended."""

from collections import Counter
from collections.abc import Iterable

from newsletter_svc.mail.bulk.parcels import Parcel, RawReply
from newsletter_svc.mail.failures import DeliveryError, OutcomeUnknown, Refusal


class RecordingFeed:
    """The outcomes by the key of the parcel, and everything that happened, in order."""

    def __init__(self, parcels: Iterable[Parcel], *, is_open: bool = False) -> None:
        self.waiting = list(parcels)
        self.is_open = is_open
        """Whether more may come."""
        self.taken: list[int] = []
        self.events: list[tuple[str, int]] = []
        self.accepted_replies: dict[int, RawReply] = {}
        self.refusals: dict[int, Refusal] = {}
        self.unknowns: dict[int, OutcomeUnknown] = {}
        self.returns: dict[int, DeliveryError | None] = {}
        self.intents: list[int] = []

    @property
    def is_exhausted(self) -> bool:
        return not self.waiting and not self.is_open

    def take(self) -> Parcel | None:
        if not self.waiting:
            return None
        parcel = self.waiting.pop(0)
        self.taken.append(parcel.key)
        return parcel

    def intent(self, parcel: Parcel) -> None:
        self.intents.append(parcel.key)
        self.events.append(("intent", parcel.key))

    def accepted(self, parcel: Parcel, reply: RawReply) -> None:
        self.accepted_replies[parcel.key] = reply
        self.events.append(("accepted", parcel.key))

    def refused(self, parcel: Parcel, refusal: Refusal) -> None:
        self.refusals[parcel.key] = refusal
        self.events.append(("refused", parcel.key))

    def unknown(self, parcel: Parcel, failure: OutcomeUnknown) -> None:
        self.unknowns[parcel.key] = failure
        self.events.append(("unknown", parcel.key))

    def returned(self, parcel: Parcel, failure: DeliveryError | None) -> None:
        self.returns[parcel.key] = failure
        self.events.append(("returned", parcel.key))

    def check_law(self) -> None:
        """Every parcel that was taken has ended exactly once, and none was accepted without an intent before it."""
        ended = Counter(key for what, key in self.events if what != "intent")
        assert ended == Counter(self.taken)
        for key in {*self.accepted_replies, *self.unknowns}:
            *tries, last = [what for what, whose in self.events if whose == key]
            # A parcel that came back after its dot, by a 421, was tried again.
            assert set(tries) == {"intent"}
            assert last in ("accepted", "unknown")


def parcels(count: int, *, content: bytes = b"Subject: hello\r\n\r\nGood morning.\r\n") -> list[Parcel]:
    """Return parcels numbered from 1, each with content of its own."""
    return [parcel(number, content) for number in range(1, count + 1)]


def parcel(number: int, content: bytes) -> Parcel:
    return Parcel(
        number,
        b"bounces+%d@news.example.org" % number,
        b"reader%d@example.org" % number,
        b"X-Number: %d\r\n%b" % (number, content),
    )
