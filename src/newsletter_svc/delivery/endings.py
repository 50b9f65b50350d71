"""Endings: how deliveries that were claimed have ended, kept until the ledger is told."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple

from sqlalchemy.orm import Session

from newsletter_svc.delivery import marks
from newsletter_svc.delivery.claims import Claim
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.mail.bulk.parcels import RawReply
from newsletter_svc.mail.message import Copy

Mark = Callable[[Session], object]
"""What the ledger is to say of a delivery."""


class Item(NamedTuple):
    """One claimed delivery, and when it may go by the provider's rate."""

    delivery: Claimed
    copy: Copy
    claim: Claim
    mailing_id: int
    place: datetime


class Note(NamedTuple):
    """What is to be marked of so many deliveries of a claim, and whether they were tried."""

    claim: Claim
    mark: Mark
    deliveries: int = 1
    were_tried: bool = True


class Ending(NamedTuple):
    """How deliveries have ended: what the server accepted, and notes about everything else."""

    accepted: list[tuple[Item, RawReply]]
    notes: list[Note]


class Endings:
    """Collects them; `take` fetches those that have come since the last time."""

    def __init__(self) -> None:
        self._ended = Ending([], [])

    def __bool__(self) -> bool:
        return bool(self._ended.accepted or self._ended.notes)

    def accept(self, item: Item, reply: RawReply) -> None:
        """The server has taken it, with this reply."""
        self._ended.accepted.append((item, reply))

    def note(self, claim: Claim, mark: Mark) -> None:
        """Say how a delivery ended that was tried, or that cannot be."""
        self._ended.notes.append(Note(claim, mark))

    def note_alike(self, items: list[Item], mark: Callable[[list[Claimed]], Mark]) -> None:
        """Say the same of many that were not tried, with one mark for each claim."""
        for _, group in groupby(sorted(items, key=_claim_name), _claim_name):
            same = list(group)
            self._ended.notes.append(
                Note(same[0].claim, mark([item.delivery for item in same]), len(same), were_tried=False)
            )

    def give_back(self, items: list[Item]) -> None:
        """Say of many that nobody has touched them."""
        self.note_alike(items, _give_back)

    def take(self) -> Ending:
        """What has ended since the last time."""
        ended, self._ended = self._ended, Ending([], [])
        return ended

    def put_back(self, ended: Ending) -> None:
        """It could not be marked; `take` brings it again."""
        self._ended.accepted[:0] = ended.accepted
        self._ended.notes[:0] = ended.notes


def _claim_name(item: Item) -> str:
    return item.claim.worker


def _give_back(deliveries: list[Claimed]) -> Mark:
    return partial(marks.give_back, deliveries=deliveries)
