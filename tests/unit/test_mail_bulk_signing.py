"""Mails on their way to be signed: in their order, never too many, and an end when those who sign are gone."""

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from newsletter_svc.mail import mime
from newsletter_svc.mail.bulk.driver import run
from newsletter_svc.mail.bulk.parcels import Parcel, pack_plain
from newsletter_svc.mail.bulk.signing import SigningFailed, SigningQueue
from newsletter_svc.mail.dkim import Signer, SigningPool
from newsletter_svc.mail.message import Mailbox, Rendered
from tests.signing import DOMAIN, PEM, SELECTOR, is_valid

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
SIGNER = Signer(domain=DOMAIN, selector=SELECTOR, private_key=PEM)


@pytest.fixture
def pool() -> Iterator[SigningPool]:
    with SigningPool(SIGNER, processes=2) as pool:
        yield pool


def parcel(key: int) -> Parcel:
    content = mime.build(
        Rendered("Good morning", f"Good morning, number {key}.\n", f"<p>Good morning, number {key}.</p>"),
        sender=Mailbox(f"briefing@{DOMAIN}"),
        recipient=Mailbox(f"reader{key}@example.org"),
        message_id=f"<{key}.a@{DOMAIN}>",
        date=NOW,
    )
    return pack_plain(
        key, sender=f"bounces@{DOMAIN}".encode("ascii"), recipient=f"reader{key}@example.org", content=content
    )


class Desk:
    """A queue, and an event for what it has to say."""

    def __init__(self, pool: SigningPool, **sizes: int) -> None:
        self.said = asyncio.Event()
        self.queue = SigningQueue(SIGNER, pool, on_ready=self.said.set, **sizes)

    def submit(self, *keys: int) -> None:
        for key in keys:
            self.queue.submit(parcel(key), now=NOW)

    async def taken(self) -> Parcel:
        while (found := self.queue.take()) is None:
            self.said.clear()
            await asyncio.wait_for(self.said.wait(), 30)
        return found

    async def all_taken(self, count: int) -> list[Parcel]:
        return [await self.taken() for _ in range(count)]


def test_they_come_back_signed_and_in_their_order(pool: SigningPool) -> None:
    async def main() -> list[Parcel]:
        desk = Desk(pool, batch=3)
        desk.submit(*range(20))
        return await desk.all_taken(20)

    signed = run(main)
    assert [each.key for each in signed] == list(range(20))
    assert [each.content for each in signed] == [SIGNER.sign(parcel(key).content, now=NOW) for key in range(20)]
    assert all(is_valid(each.content) for each in signed)


def test_a_batch_that_is_not_full_waits_for_nobody(pool: SigningPool) -> None:
    async def main() -> int:
        desk = Desk(pool, batch=100)
        desk.submit(1)
        return (await desk.taken()).key

    assert run(main) == 1


def test_no_more_are_on_their_way_than_memory_allows(pool: SigningPool) -> None:
    async def main() -> tuple[int, list[int]]:
        desk = Desk(pool, batch=4, limit=10)
        waiting, most, taken = iter(range(100)), 0, list[int]()
        while len(taken) < 100:
            while desk.queue.has_room and (key := next(waiting, None)) is not None:
                desk.submit(key)
            most = max(most, desk.queue.pending)
            taken.append((await desk.taken()).key)
        assert desk.queue.pending == 0
        return most, taken

    most, taken = run(main)
    assert most == 10
    assert taken == list(range(100))


def kill_all(pool: SigningPool) -> None:
    for process in multiprocessing.active_children():
        process.kill()


def shut(pool: SigningPool) -> None:
    pool.__exit__()


@pytest.mark.parametrize("end", [kill_all, shut])
def test_whoever_waits_hears_that_those_who_sign_are_gone(end: Callable[[SigningPool], None]) -> None:
    async def main() -> None:
        with SigningPool(SIGNER, processes=1) as pool:
            desk = Desk(pool, batch=4)
            desk.submit(0)
            await desk.taken()
            desk.submit(*range(1, 41))
            end(pool)
            with pytest.raises(SigningFailed):
                await desk.all_taken(40)
            desk.submit(*range(41, 50))
            with pytest.raises(SigningFailed):
                desk.queue.take()

    run(main)
