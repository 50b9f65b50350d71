"""Signatures for a feed: mails go to a pool of processes in batches, and come back signed and in their order."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.bulk.parcels import Parcel
from newsletter_svc.mail.dkim import Signer, SigningPool, Unsigned

BATCH = 32
"""What makes the way to another process and back cheap beside the signing itself."""
LIMIT = 256
"""How many mails may be on their way: enough for some processes to be always busy, 10 MB at 40 KB each."""


class SigningFailed(NewsletterError):
    """The processes that sign are gone; nothing that was submitted will be signed."""


_Signatures = asyncio.Future[list[bytes]]


class _Batch(NamedTuple):
    """Mails on their way, and what will be their signatures."""

    mails: list[tuple[Parcel, Unsigned]]
    signatures: _Signatures


class SigningQueue:
    """Belongs to one event loop, whose feed uses it so:

        while queue.has_room and (next := ...):
            queue.submit(parcel, body_hash=..., now=...)
        return queue.take()

    `on_ready` is called from the loop when `take` has something new to say, so it may wake the engine. A feed is
    exhausted once it has nothing more to submit and `queue.pending` is 0. What was never taken when a run ends was
    never sent.
    """

    def __init__(
        self,
        signer: Signer,
        pool: SigningPool,
        *,
        on_ready: Callable[[], None],
        batch: int = BATCH,
        limit: int = LIMIT,
    ) -> None:
        self._signer = signer
        self._pool = pool
        self._on_ready = on_ready
        self._batch_size = batch
        self._limit = limit
        self._gathering: list[tuple[Parcel, Unsigned]] = []
        self._ready: deque[Parcel] = deque()
        self._under_way: deque[_Batch] = deque()
        self._failure: SigningFailed | None = None
        self.pending = 0
        """How many parcels were submitted and not taken yet."""

    @property
    def has_room(self) -> bool:
        return self.pending < self._limit

    def submit(self, parcel: Parcel, *, now: datetime, body_hash: bytes | None = None) -> None:
        """Have a parcel of `pack_plain` signed; `body_hash` comes from `CompiledLetter.join_and_hash`."""
        self.pending += 1
        self._gathering.append((parcel, self._signer.prepare(parcel.content, now=now, body_hash=body_hash)))
        if len(self._gathering) >= self._batch_size:
            self._send()

    def take(self) -> Parcel | None:
        """Return the next signed parcel, or None while it is on its way. Raises `SigningFailed`.

        Whoever waits sends off what is gathered, so a last batch that is not full waits for nobody.
        """
        if not self._ready and not self._under_way and self._gathering:
            self._send()
        if self._failure is not None:
            raise self._failure
        if not self._ready:
            return None
        self.pending -= 1
        return self._ready.popleft()

    def _send(self) -> None:
        mails, self._gathering = self._gathering, []
        try:
            made = self._pool.sign([unsigned.signed_octets for _, unsigned in mails])
        except RuntimeError:  # A pool that broke, or was shut, says so at once.
            self._fail()
            return
        signatures = asyncio.wrap_future(made)
        self._under_way.append(_Batch(mails, signatures))
        signatures.add_done_callback(self._arrive)

    def _arrive(self, signatures: _Signatures) -> None:
        """Put what has arrived in order among the ready ones: a batch waits for those that left before it."""
        if signatures.cancelled() or signatures.exception() is not None:
            self._fail()
            return
        while self._under_way and self._under_way[0].signatures.done() and self._failure is None:
            self._ready.extend(self._signed(self._under_way.popleft()))
        self._on_ready()

    def _signed(self, batch: _Batch) -> list[Parcel]:
        return [
            parcel._replace(content=self._signer.header(unsigned, signature) + parcel.content)
            for (parcel, unsigned), signature in zip(batch.mails, batch.signatures.result(), strict=True)
        ]

    def _fail(self) -> None:
        if self._failure is None:
            self._failure = SigningFailed("a process that signs mail has ended")
            # Not at once: the engine may be in the midst of taking.
            asyncio.get_running_loop().call_soon(self._on_ready)
