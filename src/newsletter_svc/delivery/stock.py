"""The stock: claimed deliveries on their way to the mail server and back.

What the bulk engine takes from and tells: all of it runs on the engine's loop, some of it for each message, and nothing
here touches the database. The journal hears of everything before the engine goes on.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.delivery import mailings, outcomes
from newsletter_svc.delivery.endings import Endings, Item
from newsletter_svc.delivery.journal import Ended
from newsletter_svc.delivery.troubles import Troubles
from newsletter_svc.mail.bulk.parcels import Parcel, RawReply
from newsletter_svc.mail.failures import DeliveryError, OutcomeUnknown, Refusal
from newsletter_svc.mail.message import UnsendableMessage
from newsletter_svc.mail.slots import LostSlot


class Packed(NamedTuple):
    """A parcel, and what DKIM needs to know of its body where it is to be signed."""

    parcel: Parcel
    body_hash: bytes | None = None


class Signing(Protocol):
    """Signs parcels in other processes and gives them back in their order."""

    @property
    def has_room(self) -> bool: ...

    def submit(self, parcel: Parcel, *, now: datetime, body_hash: bytes | None = None) -> None: ...

    def take(self) -> Parcel | None: ...


class Stock:
    """Hands out parcels, and tells `ended` how each came back.

    `compose` makes an item's parcel, which goes through `signing` if there is one. `on_low` is called once no more than
    `low_mark` items wait, when the last one is back, and when a mailing is halted; `on_early` with the seconds after
    which the rate allows the next one.
    """

    def __init__(
        self,
        compose: Callable[[Item], Packed],
        *,
        on_low: Callable[[], None],
        on_early: Callable[[float], None],
        now: Callable[[], datetime],
        unknown_resend_seconds: int,
        is_paced: bool,
        signing: Signing | None = None,
    ) -> None:
        self.low_mark = 0
        self.is_closed = False
        """Whether nothing will be added any more."""
        self.returned_items: list[tuple[Item, DeliveryError | None]] = []
        """What the engine gave back: nobody has said anything about it."""
        self.ended = Endings()
        self._compose = compose
        self._on_low = on_low
        self._on_early = on_early
        self._now = now
        self._unknown_resend_seconds = unknown_resend_seconds
        self._is_paced = is_paced
        self._waiting: deque[Item] = deque()
        self._signing = signing
        self._being_signed: dict[int, Item] = {}
        self._out: dict[int, Item] = {}
        self._troubles = Troubles()
        self._halted: set[int] = set()
        self._is_low = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def has_open_ends(self) -> bool:
        """Whether something waits, is under way, or has yet to be marked."""
        return bool(self._waiting or self._being_signed or self._out or self.ended or self.returned_items)

    @property
    def mailing_ids(self) -> set[int]:
        """The mailings of what waits."""
        return {item.mailing_id for item in self._waiting}

    def add(self, items: list[Item]) -> None:
        """Take what was claimed, so its mailing goes on."""
        self._waiting.extend(items)
        self._is_low = False
        self._halted.difference_update(item.mailing_id for item in items)

    def remove_all(self) -> list[Item]:
        """Take back all that the engine does not have, and what it gave back."""
        rest = [*self._waiting, *self._being_signed.values(), *(item for item, _ in self.returned_items)]
        self._waiting.clear()
        self._being_signed.clear()
        self.returned_items.clear()
        return rest

    def halt(self, mailing_ids: set[int]) -> None:
        """Hand out nothing more of these mailings until more of them is added; what waits is given back."""
        self._halted |= mailing_ids
        self.ended.give_back([item for item in self._waiting if item.mailing_id in mailing_ids])
        self._waiting = deque(item for item in self._waiting if item.mailing_id not in mailing_ids)
        for mailing_id in mailing_ids:
            self._troubles.forget(mailing_id)

    # What the engine calls. How a parcel ended is kept before the journal hears of it: where its disk is full, the
    # ledger is told all the same, and nobody gets a mail again that was taken.

    @property
    def is_exhausted(self) -> bool:
        return self.is_closed and not self._waiting and not self._being_signed

    def take(self) -> Parcel | None:
        parcel = self._next() if self._signing is None else self._next_signed(self._signing)
        if len(self._waiting) <= self.low_mark and not self._is_low:
            self._is_low = True
            self._on_low()
        return parcel

    def intent(self, parcel: Parcel) -> None:
        self._out[parcel.key].claim.journal.intent(parcel.key)

    def accepted(self, parcel: Parcel, reply: RawReply) -> None:
        item = self._back(parcel)
        self.ended.accept(item, reply)
        self._troubles.accepted(item.mailing_id)
        item.claim.journal.result(parcel.key, Ended.ACCEPTED, b"%d %b" % reply)

    def refused(self, parcel: Parcel, refusal: Refusal) -> None:
        item = self._back(parcel)
        trouble = self._troubles.refused(item.mailing_id, refusal.reply) if refusal.reply else None
        self.ended.note(item.claim, partial(_refused, item=item, refusal=refusal, trouble=trouble, now=self._now()))
        if trouble is not None:
            self.halt({item.mailing_id})
            self._on_low()
        item.claim.journal.result(parcel.key, Ended.REFUSED, refusal.text.encode())

    def unknown(self, parcel: Parcel, failure: OutcomeUnknown) -> None:
        item = self._back(parcel)
        unanswered = partial(
            outcomes.unanswered,
            delivery=item.delivery,
            failure=failure,
            unknown_resend_seconds=self._unknown_resend_seconds,
            now=self._now(),
        )
        self.ended.note(item.claim, unanswered)
        item.claim.journal.result(parcel.key, Ended.UNANSWERED)

    def returned(self, parcel: Parcel, failure: DeliveryError | None) -> None:
        item = self._back(parcel)
        self.returned_items.append((item, failure))
        item.claim.journal.result(parcel.key, Ended.NOT_TAKEN)

    def _back(self, parcel: Parcel) -> Item:
        item = self._out.pop(parcel.key)
        if not self._out and not self._waiting:
            self._on_low()
        return item

    def _is_early(self, item: Item) -> bool:
        if not self._is_paced:
            return False
        seconds = (item.place - self._now()).total_seconds()
        if seconds > 0:
            self._on_early(seconds)
        return seconds > 0

    def _next(self) -> Parcel | None:
        while self._waiting and not self._is_early(self._waiting[0]):
            item = self._waiting.popleft()
            packed = self._pack(item)
            if packed is not None:
                self._out[packed.parcel.key] = item
                return packed.parcel
        return None

    def _next_signed(self, signing: Signing) -> Parcel | None:
        """Keep the processes that sign busy, and hand out what they have signed."""
        while signing.has_room and self._waiting and not self._is_early(self._waiting[0]):
            item = self._waiting.popleft()
            packed = self._pack(item)
            if packed is not None:
                self._being_signed[packed.parcel.key] = item
                signing.submit(packed.parcel, now=item.claim.at, body_hash=packed.body_hash)
        while (parcel := signing.take()) is not None:
            item = self._being_signed.pop(parcel.key)
            if item.mailing_id not in self._halted:
                self._out[parcel.key] = item
                return parcel
            self.ended.give_back([item])
        return None

    def _pack(self, item: Item) -> Packed | None:
        """The item ready to go; None where no mail can be made for this reader, which is then on record."""
        try:
            return self._compose(item)
        except (UnsendableMessage, LostSlot) as error:
            outcome = partial(outcomes.unsendable, delivery=item.delivery, error=error, now=self._now())
        except Exception as error:
            # Our fault and no reader's: it can be mended, and the reader must not lose the mail by it.
            outcome = partial(outcomes.not_written, delivery=item.delivery, error=error, now=self._now())
        self.ended.note(item.claim, outcome)
        return None


def _refused(session: Session, *, item: Item, refusal: Refusal, trouble: str | None, now: datetime) -> None:
    outcomes.refused(session, item.delivery, refusal, now=now)
    if trouble is not None and mailings.pause(session, item.mailing_id, reason=trouble):
        delivery = item.delivery
        detail = f"{delivery.kind} {delivery.subject_id}: {trouble}"
        alerts.report(session, Cause.MAILING_PAUSED, detail=detail, now=now)
