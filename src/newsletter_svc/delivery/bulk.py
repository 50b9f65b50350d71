"""The bulk lane: digests to any number of readers, over a few connections that are kept busy."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Protocol

import structlog

from newsletter_svc import alerts, cores
from newsletter_svc.alerts import Cause
from newsletter_svc.delivery import envelope, retries
from newsletter_svc.delivery.books import Books, WriteCopies
from newsletter_svc.delivery.claims import Claims
from newsletter_svc.delivery.endings import Item
from newsletter_svc.delivery.keeper import Keeper
from newsletter_svc.delivery.sender import REFUSED_PAUSE, Round
from newsletter_svc.delivery.stock import Packed
from newsletter_svc.mail.bulk import driver
from newsletter_svc.mail.bulk.parcels import Feed, Parcel, pack_plain
from newsletter_svc.mail.dkim import Signer, SigningPool
from newsletter_svc.mail.failures import SenderRefused, ServerUnavailable
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring

STOP_SECONDS = 20.0
"""How long what is in flight may take when the process is to end; after that nobody knows how it ended."""
_LOOK_SECONDS = 0.02

log = structlog.get_logger()


class Engine(Protocol):
    """What carries a feed: the bulk engine over SMTP, or the local mailbox. Made on the loop that it runs on."""

    @property
    def is_stopping(self) -> bool: ...

    async def run(self) -> None:
        """Carry everything; raises `SenderRefused` or `ServerUnavailable`, or what the feed raised."""

    def wake(self) -> None:
        """Look at the feed again."""

    def stop(self) -> None:
        """Start nothing new; `run` returns once what is in flight has its reply."""


@dataclass
class BulkLane:
    """Sends what is due of mailings; one run at a time in a process."""

    claims: Claims
    letters: Mapping[str, WriteCopies]
    keyring: Keyring
    settings: Settings
    open_engine: Callable[[Feed], Engine]
    signer: Signer | None = None
    """Signs every mail; None where no DKIM key is set."""
    stopping: threading.Event = field(default_factory=threading.Event)
    _troubles: int = 0

    def send_due(self, *, mailing_id: int | None = None) -> Round:
        """Claim and send, batch after batch, until nothing is due any more; of one mailing if that is named.

        Nothing is sent without a committed claim. What is raised by the journal or the database leaves the claims to
        `Claims.recover`.
        """
        books = Books(self.claims, self.letters, only=mailing_id)
        if self.stopping.is_set() or not books.anything_due():
            return Round(handled=0)
        with self._signing_pool() as pool:
            return driver.run(lambda: self._carry(books, pool))

    def _signing_pool(self) -> AbstractContextManager[SigningPool | None]:
        """This process's share of the processors that sign; none where that is its own, which then signs by itself."""
        share = cores.usable() // self.settings.mail_processes
        if self.signer is None or share <= 1:
            return nullcontext()
        return SigningPool(self.signer, processes=share)

    def _composing(self, pool: SigningPool | None) -> Callable[[Item], Packed]:
        if self.signer is None:
            return self._pack
        return self._pack_and_hash if pool else partial(self._pack_and_sign, self.signer)

    async def _carry(self, books: Books, pool: SigningPool | None) -> Round:
        keeper = Keeper(
            books,
            self._composing(pool),
            settings=self.settings,
            is_stopping=self.stopping.is_set,
            signer=self.signer,
            pool=pool,
        )
        pause = timedelta()
        try:
            await self._run(keeper)
            self._troubles = 0
        except ServerUnavailable as failure:
            self._troubles += 1
            pause = retries.after_no_server(self._troubles)
            keeper.postpone(failure, pause)
        except SenderRefused as failure:
            pause = REFUSED_PAUSE
            self._report(failure)
        finally:
            keeper.give_back()
            await keeper.settle()
        return Round(handled=keeper.handled, pause=pause)

    async def _run(self, keeper: Keeper) -> None:
        """Carry until there is nothing left. Every delivery that was handed out has come back when this ends."""
        engine = self.open_engine(keeper.stock)
        running = asyncio.ensure_future(engine.run())
        keeping = asyncio.ensure_future(keeper.keep(engine))
        keeping.add_done_callback(lambda _: engine.stop())
        stopper = asyncio.ensure_future(self._stop_when_told(engine, running))
        try:
            await running
        except asyncio.CancelledError:
            log.warning("bulk_cut_short", seconds=STOP_SECONDS)
        finally:
            stopper.cancel()
            keeper.finish()
            await keeping

    async def _stop_when_told(self, engine: Engine, running: "asyncio.Future[None]") -> None:
        while not self.stopping.is_set():
            await asyncio.sleep(_LOOK_SECONDS)
        engine.stop()
        await asyncio.sleep(STOP_SECONDS)
        running.cancel()

    def _report(self, failure: SenderRefused) -> None:
        detail = f"{failure.stage}: {failure.text}"
        with self.claims.database.transaction() as session:
            alerts.report(session, Cause.SENDER_REFUSED, detail=detail, now=self.claims.now())

    def _pack(self, item: Item) -> Packed:
        delivery, copy = item.delivery, item.copy
        content = copy.compiled.join(
            recipient=copy.recipient, message_id=delivery.message_id, date=item.claim.at, values=copy.values
        )
        return Packed(self._parcel(item, content))

    def _pack_and_hash(self, item: Item) -> Packed:
        delivery, copy = item.delivery, item.copy
        content, body_hash = copy.compiled.join_and_hash(
            recipient=copy.recipient, message_id=delivery.message_id, date=item.claim.at, values=copy.values
        )
        return Packed(self._parcel(item, content), body_hash)

    def _pack_and_sign(self, signer: Signer, item: Item) -> Packed:
        parcel, body_hash = self._pack_and_hash(item)
        return Packed(parcel._replace(content=signer.sign(parcel.content, now=item.claim.at, body_hash=body_hash)))

    @cached_property
    def _sender_of(self) -> Callable[[int], bytes]:
        settings = self.settings
        return envelope.stamp(
            bounce_address=settings.bounce_address, default=settings.mail_default_sender, keyring=self.keyring
        )

    def _parcel(self, item: Item, content: bytes) -> Parcel:
        sender = self._sender_of(item.delivery.id)
        return pack_plain(item.delivery.id, sender=sender, recipient=item.copy.recipient.email, content=content)
