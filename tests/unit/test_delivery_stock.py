"""The stock where the journal's disk has become full: what is known all the same is kept for the ledger."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter_svc.delivery.claims import Claim
from newsletter_svc.delivery.endings import Item
from newsletter_svc.delivery.journal import Journal
from newsletter_svc.delivery.models import Claimed, Lane
from newsletter_svc.delivery.stock import Packed, Stock
from newsletter_svc.mail.bulk.parcels import Parcel, RawReply
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import OutcomeUnknown, Refusal, Stage
from newsletter_svc.mail.message import Copy, Mailbox, Rendered, Stream
from newsletter_svc.mail.replies import Reply
from newsletter_svc.settings import Settings

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
READER = "ada@example.org"
TAKEN = RawReply(250, b"2.0.0 Ok")


class FullDisk(Journal):
    """A journal on a disk without room, which the first write after `fill` finds out."""

    def fill(self) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, self._file)
        os.close(full)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FullDisk]:
    own = FullDisk(tmp_path, "claim", mailing_id=3)
    yield own
    own.close(done=False)


@pytest.fixture
def item(journal: FullDisk) -> Item:
    delivery = Claimed(7, "digest", 1, "1", READER, "<1.a@example.org>", 1, 0, NOW, None, Lane.BULK, 3, "claim")
    composer = Composer(Settings(secret_keys=("k" * 40,)))
    compiled = composer.compile(Rendered("The day", "Words", "<p>Words</p>"), stream=Stream.DIGEST, headers=())
    claim = Claim("claim", [delivery], journal, NOW, NOW)
    return Item(delivery, Copy(Mailbox(READER), compiled, {}), claim, 3, NOW)


@pytest.fixture
def stock(item: Item) -> Stock:
    parcel = Parcel(item.delivery.id, b"desk@example.org", READER.encode(), b"Words\r\n")
    made = Stock(
        lambda _: Packed(parcel),
        on_low=lambda: None,
        on_early=lambda _: None,
        now=lambda: NOW,
        unknown_resend_seconds=900,
        is_paced=False,
    )
    made.add([item])
    return made


def refuse(stock: Stock, parcel: Parcel) -> None:
    stock.refused(parcel, Refusal(Stage.DOT, Reply(550, "5.1.1", "no such user")))


ENDS: dict[str, Callable[[Stock, Parcel], None]] = {
    "accepted": lambda stock, parcel: stock.accepted(parcel, TAKEN),
    "refused": refuse,
    "unknown": lambda stock, parcel: stock.unknown(parcel, OutcomeUnknown(Stage.DOT, cause="closed")),
    "returned": lambda stock, parcel: stock.returned(parcel, None),
}


@pytest.mark.parametrize("how", ENDS)
def test_how_a_mail_ended_is_known_though_it_cannot_be_written(
    stock: Stock, item: Item, journal: FullDisk, how: str
) -> None:
    parcel = stock.take()
    assert parcel is not None
    stock.intent(parcel)
    journal.fill()
    with pytest.raises(OSError, match="No space left"):
        ENDS[how](stock, parcel)
    ended = stock.ended.take()
    assert [kept.delivery.recipient for kept, _ in ended.accepted] == ([READER] if how == "accepted" else [])
    assert [note.claim for note in ended.notes] == ([item.claim] if how in ("refused", "unknown") else [])
    assert [kept for kept, _ in stock.returned_items] == ([item] if how == "returned" else [])


def test_without_an_intent_on_disk_nothing_may_be_sent(stock: Stock, journal: FullDisk) -> None:
    parcel = stock.take()
    assert parcel is not None
    journal.fill()
    with pytest.raises(OSError, match="No space left"):
        stock.intent(parcel)
    assert stock.has_open_ends
