"""A conversation on a socket of asyncio: bytes to and fro, and how long a reply may take."""

import asyncio
from typing import cast

from newsletter_svc.mail.bulk.protocol import Conversation, Wait
from newsletter_svc.mail.failures import Stage
from newsletter_svc.mail.idle import QUIT_SECONDS
from newsletter_svc.mail.smtp import COMMAND_SECONDS
from newsletter_svc.mail.smtp_server import cause_of

_BUFFER = 16_384


class Connection(asyncio.BufferedProtocol):
    """Reads into one buffer of its own: a plain `Protocol` allocates one for each read, which costs a factor of 3."""

    def __init__(self, conversation: Conversation, *, timeout: float, loop: asyncio.AbstractEventLoop) -> None:
        self.conversation = conversation
        self.closed: asyncio.Future[None] = loop.create_future()
        self.paused: asyncio.Future[None] = loop.create_future()
        """Done when the connection is to be encrypted, or is over before it came to that."""
        self.error: Exception | None = None
        """What the feed raised; it is the caller's fault and ends the run."""
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._view = memoryview(bytearray(_BUFFER))
        self._waiting_since = loop.time()
        self._limits = {
            Wait.REPLY: min(COMMAND_SECONDS, timeout),
            Wait.DOT_REPLY: timeout,
            Wait.GOODBYE: QUIT_SECONDS,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop derives its streams from `asyncio.Transport`: uvloop does not.
        self._transport = cast(asyncio.Transport, transport)
        self.flush()

    def secured(self, transport: asyncio.Transport) -> None:
        """Go on over the encrypted connection."""
        self._transport = transport
        self.conversation.secured()
        self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._waiting_since = self._loop.time()
        try:
            self.conversation.receive(bytes(self._view[:nbytes]))
        except Exception as error:  # The feed failed: nothing may be sent that it does not know of.
            self.error = error
            self.drop(cause_of(error))
        self.flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(cause_of(exc) if exc else "closed")
        self.release()

    def wake(self) -> None:
        """Look for something to send."""
        try:
            self.conversation.wake()
        except Exception as error:  # As above.
            self.error = error
            self.drop(cause_of(error))
        self.flush()

    def finish(self) -> None:
        """Start nothing new."""
        self.conversation.finish()
        self.flush()

    def drop(self, cause: str, *, stage: Stage | None = None) -> None:
        """End it here and now."""
        try:
            self.conversation.lost(cause, stage=stage)
        except Exception as error:  # As above; the connection has to go all the same.
            self.error = error
        if self._transport is not None:
            self._transport.abort()

    def check(self) -> None:
        """Drop the connection when a reply has been waited for too long."""
        limit = self._limits.get(self.conversation.waits_for)
        if limit is not None and self._loop.time() - self._waiting_since > limit:
            was_over = self.conversation.is_over
            self.drop("TimeoutError")
            if was_over:  # Not even the loop told of its end.
                self.release()

    def flush(self) -> None:
        """Write what there is to write: one packet for all of it."""
        conversation, transport = self.conversation, self._transport
        if conversation.is_over:
            self._release_pause()
            # A connection that is being encrypted is not to be closed from under the handshake: `drop` ends it.
            if transport is not None and not conversation.wants_tls:
                (transport.close if conversation.failure is None else transport.abort)()
            return
        if transport is not None and conversation.outbox:
            self._waiting_since = self._loop.time()
            transport.writelines(conversation.outbox)
            conversation.outbox.clear()
        if conversation.wants_tls:
            self._release_pause()

    def release(self) -> None:
        """Let go of whoever waits for the end."""
        self._release_pause()
        if not self.closed.done():
            self.closed.set_result(None)

    def _release_pause(self) -> None:
        if not self.paused.done():
            self.paused.set_result(None)
