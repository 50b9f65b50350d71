"""Keeps the stock filled and the ledger told, on the loop beside the engine that carries the mail."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from newsletter_svc.delivery import outcomes
from newsletter_svc.delivery.books import Books
from newsletter_svc.delivery.endings import Item
from newsletter_svc.delivery.stock import Packed, Stock
from newsletter_svc.mail.bulk.signing import SigningQueue
from newsletter_svc.mail.dkim import Signer, SigningPool
from newsletter_svc.mail.failures import ServerUnavailable
from newsletter_svc.settings import Settings

SMALLEST_BATCH = 50
LARGEST_BATCH = 1_000
BATCH_SECONDS = 2.0
"""A batch is about what goes out in this time, so that pausing and stopping do not take long."""
LOOK_SECONDS = 0.25
IDLE_LOOK_SECONDS = 1.0
TROUBLE_SECONDS = 1.0

log = structlog.get_logger()

T = TypeVar("T")


class Carrying(Protocol):
    """The engine, as far as it concerns whoever fills its feed."""

    @property
    def is_stopping(self) -> bool: ...

    def wake(self) -> None: ...


class Keeper:
    """One run's keeper: `keep` goes on until `finish`; what is left then gets its marks in `settle`."""

    def __init__(
        self,
        books: Books,
        compose: Callable[[Item], Packed],
        *,
        settings: Settings,
        is_stopping: Callable[[], bool],
        signer: Signer | None = None,
        pool: SigningPool | None = None,
    ) -> None:
        self.handled = 0
        """How many deliveries have ended or moved."""
        self._books = books
        self._settings = settings
        self._is_stopping = is_stopping
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()
        self._wake: Callable[[], None] = self._bell.set
        self._alarm: asyncio.TimerHandle | None = None
        self._is_over = False
        self._size = SMALLEST_BATCH
        self._claimed_at = self._renewed_at = self._looked_at = self._loop.time()
        self._look_again_at = 0.0
        signing = SigningQueue(signer, pool, on_ready=lambda: self._wake()) if signer and pool else None
        self.stock = Stock(
            compose,
            on_low=self._bell.set,
            on_early=self._wake_later,
            now=books.now,
            unknown_resend_seconds=settings.unknown_resend_seconds,
            is_paced=settings.mail_max_per_second is not None,
            signing=signing,
        )

    async def keep(self, engine: Carrying) -> None:
        """Mark what has ended and claim what comes next; a database that is away is waited for."""
        self._wake = engine.wake
        while not self._is_over:
            try:
                self._note_hopeless(engine)
                await self._mark_ended()
                await self._renew()
                await self._take_back_inactive()
                await self._fill()
            except DBAPIError as error:
                await self._wait_for_database(error)
            await self._listen()

    def finish(self) -> None:
        """Claim nothing more; `keep` returns soon."""
        self._is_over = True
        self._bell.set()

    def give_back(self) -> None:
        """What was not handed over is as it was before."""
        self.stock.ended.give_back(self.stock.remove_all())

    def postpone(self, failure: ServerUnavailable, pause: timedelta) -> None:
        """What was not handed over waits until the server is tried again."""
        due_at = self._books.now() + pause
        postponed = partial(outcomes.postponed, failure=failure, due_at=due_at)
        self.stock.ended.note_alike(self.stock.remove_all(), lambda rest: partial(postponed, deliveries=rest))

    async def settle(self) -> None:
        """Mark everything. While the database is away it goes on trying, unless the process is to end."""
        while True:
            try:
                await self._mark_ended()
                break
            except DBAPIError as error:
                if self._is_stopping():
                    break
                await self._wait_for_database(error)
        self._books.abandon()

    async def _wait_for_database(self, error: DBAPIError) -> None:
        # The class only: the text of a database error quotes rows, and rows hold addresses.
        log.error("ledger_out_of_reach", error=type(error).__name__)
        self._books.hear(error)
        await asyncio.sleep(TROUBLE_SECONDS)

    async def _mark_ended(self) -> None:
        ended = self.stock.ended.take()
        if not (ended.accepted or ended.notes):
            return
        try:
            await self._do(partial(self._books.mark, ended))
        except BaseException:
            self.stock.ended.put_back(ended)
            raise
        self.handled += len(ended.accepted) + sum(note.deliveries for note in ended.notes if note.were_tried)
        if not self.stock.has_open_ends:
            self._look_again_at = 0.0  # Whether that was all is worth another look now.

    async def _renew(self) -> None:
        now = self._loop.time()
        if now - self._renewed_at >= self._settings.delivery_lease_seconds / 3:
            self._renewed_at = now
            await self._do(self._books.renew)

    async def _take_back_inactive(self) -> None:
        """Stop what was paused or cancelled meanwhile, also by what has just been marked."""
        now, waiting = self._loop.time(), self.stock.mailing_ids
        if not waiting or now - self._looked_at < IDLE_LOOK_SECONDS:
            return
        self._looked_at = now
        inactive = await self._do(partial(self._books.inactive, waiting))
        if inactive:
            self.stock.halt(inactive)

    async def _fill(self) -> None:
        stock, now = self.stock, self._loop.time()
        if len(stock) > stock.low_mark or now < self._look_again_at or self._is_stopping() or self._is_over:
            return
        batch = await self._do(partial(self._books.claim, limit=self._next_size(now)))
        if batch is None:
            self._look_again_at = now + IDLE_LOOK_SECONDS
            if not stock.has_open_ends:
                stock.is_closed = True
                self._wake()
            return
        for mark in batch.unwritten:
            stock.ended.note(batch.claim, mark)
        stock.add(batch.items)
        stock.low_mark = len(batch.items) // 2
        self._wake()

    def _next_size(self, now: float) -> int:
        """How many to claim: what half a batch took the last time tells how fast they go."""
        elapsed = max(now - self._claimed_at, 0.001)
        self._claimed_at = now
        fitting = self._size / 2 / elapsed * BATCH_SECONDS
        self._size = int(min(max(fitting, self._size / 2, SMALLEST_BATCH), self._size * 2, LARGEST_BATCH))
        rate = self._settings.mail_max_per_second
        return self._size if rate is None else max(1, min(self._size, int(rate * BATCH_SECONDS)))

    def _note_hopeless(self, engine: Carrying) -> None:
        """What came back from connection after connection, while others went out, may be what breaks them."""
        if engine.is_stopping:
            return  # Then it has come back with all the others.
        now = self._books.now()
        returned, self.stock.returned_items = self.stock.returned_items, []
        for item, failure in returned:
            cause = failure.text if failure else ""
            self.stock.ended.note(
                item.claim, partial(outcomes.not_carried, delivery=item.delivery, cause=cause, now=now)
            )

    def _wake_later(self, seconds: float) -> None:
        # Each connection asks, and one alarm is enough for them all.
        if self._alarm is None:
            self._alarm = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    async def _listen(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), LOOK_SECONDS)
        self._bell.clear()

    async def _do(self, work: Callable[[], T]) -> T:
        """Do this with the database. SQLite does it here: a thread would fight for the interpreter at each row."""
        return await asyncio.to_thread(work) if self._books.may_block else work()
