"""Carries what a feed hands out over several connections with asyncio: opening, spreading, retrying, stopping."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from newsletter_svc.mail.bulk.connection import Connection
from newsletter_svc.mail.bulk.parcels import Feed
from newsletter_svc.mail.bulk.protocol import Conversation
from newsletter_svc.mail.bulk.supply import Supply
from newsletter_svc.mail.failures import DeliveryError, SenderRefused, Stage
from newsletter_svc.mail.idle import QUIT_SECONDS
from newsletter_svc.mail.smtp_server import CONNECT_SECONDS, Security, SmtpServer, cause_of

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
_CHECK_SECONDS = 1.0
_TLS_SECONDS: dict[str, Any] = {"ssl_handshake_timeout": CONNECT_SECONDS, "ssl_shutdown_timeout": QUIT_SECONDS}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a server wants to be treated."""

    connections: int = 4
    per_second: float | None = None
    """Of this engine; a rate over many processes is the caller's to share out."""
    per_connection: int | None = None
    """How many messages a server takes on one connection."""
    patience: float = 30
    """How many seconds a server may be out of reach before the run is given up."""


class Engine:
    """One run: from the first parcel until the feed is exhausted, the run is stopped, or the server is given up."""

    def __init__(self, server: SmtpServer, feed: Feed, *, plan: Plan) -> None:
        self._server = server
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._supply = Supply(
            feed,
            clock=self._loop.time,
            on_dry=self._on_dry,
            on_return=self._schedule_wake,
            per_second=plan.per_second,
        )
        self._connections: set[Connection] = set()
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        self._fatal: Exception | None = None
        self._reachable_at = self._loop.time()
        self._look_is_scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        secure = server.security is not Security.NONE
        self._tls = (server.tls or ssl.create_default_context()) if secure else None

    async def run(self) -> None:
        """Carry everything. Every parcel that was taken has ended in one way when this returns or raises.

        Raises `SenderRefused`, `ServerUnavailable` when patience is at its end, or whatever the feed raised.
        """
        watchdog = asyncio.create_task(self._watch())
        slots = [asyncio.create_task(self._run_slot()) for _ in range(self._plan.connections)]
        try:
            await asyncio.gather(*slots)
        finally:
            await _cancel([watchdog, *slots])
            self._close()
        if self._fatal is not None:
            raise self._fatal

    @property
    def is_stopping(self) -> bool:
        """Whether it starts nothing new."""
        return self._stopped.is_set()

    def wake(self) -> None:
        """Look at the feed again; from another thread by `loop.call_soon_threadsafe(engine.wake)`."""
        self._changed.set()
        for connection in list(self._connections):
            connection.wake()

    def stop(self) -> None:
        """Start nothing new. `run` returns once what is in flight has its reply; cancel it to wait no longer."""
        self._stopped.set()
        self._changed.set()
        self._supply.close(self._fatal if isinstance(self._fatal, DeliveryError) else None)
        for connection in list(self._connections):
            connection.finish()

    async def _run_slot(self) -> None:
        try:
            await self._open_one_after_the_other()
        except Exception as error:  # The feed failed; what is in flight on other connections still has to end.
            self._give_up(error)

    async def _open_one_after_the_other(self) -> None:
        """Keep a connection, as long as there is something to carry."""
        failures = 0
        while not self._stopped.is_set():
            if not self._supply.has_any():
                if self._supply.is_exhausted and not self._connections:
                    self._changed.set()
                    return
                self._changed.clear()
                await self._changed.wait()
                continue
            conversation = await self._converse()
            failures = 0 if conversation.carried else failures + 1
            if self._is_to_back_off(conversation):
                seconds = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** max(0, failures - 1))
                await self._unless_stopped(asyncio.sleep(seconds), seconds=seconds + 1)

    async def _converse(self) -> Conversation:
        """Carry over one connection until it ends."""
        conversation = Conversation(self._server, self._supply, limit=self._plan.per_connection)
        connection = Connection(conversation, timeout=self._server.timeout, loop=self._loop)
        self._connections.add(connection)
        try:
            await self._open(connection)
            await connection.closed
        finally:
            self._connections.discard(connection)
            connection.drop("cancelled")
            self._changed.set()
        self._judge(connection)
        return conversation

    async def _open(self, connection: Connection) -> None:
        """Connect and, where it is asked for, encrypt. What goes wrong ends the connection and is its failure."""
        server = self._server
        implicit = {"ssl": self._tls, **_TLS_SECONDS} if server.security is Security.IMPLICIT else {}
        opening = self._loop.create_connection(lambda: connection, server.host, server.port, **implicit)
        stage = Stage.CONNECT
        try:
            pair = await self._unless_stopped(opening, seconds=min(CONNECT_SECONDS, server.timeout))
            if pair is not None and self._tls is not None and not implicit:
                await connection.paused
                stage = Stage.TLS
                await self._secure(connection, pair[0], self._tls)
        except OSError as error:  # Those of ssl, of the name service and of timeouts are.
            connection.drop(cause_of(error), stage=stage)
            connection.release()
        else:
            if pair is None:
                connection.drop("stopped")
                connection.release()

    async def _secure(self, connection: Connection, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        if connection.conversation.is_over:
            raise ConnectionAbortedError
        upgrade = self._loop.start_tls(transport, connection, tls, server_hostname=self._server.host, **_TLS_SECONDS)
        secured = await self._unless_stopped(upgrade, seconds=CONNECT_SECONDS)
        # When the connection was closed meanwhile, uvloop comes back with a transport that is dead, or never.
        if secured is None or connection.conversation.is_over:
            raise ConnectionAbortedError
        connection.secured(secured)

    def _judge(self, connection: Connection) -> None:
        """Decide what the end of a connection means for the run."""
        conversation, now = connection.conversation, self._loop.time()
        failure = conversation.failure
        if conversation.gave_back is not None and not conversation.carried:
            self._supply.suspect(conversation.gave_back)
        if conversation.carried or any(other.conversation.is_ready for other in self._connections):
            self._reachable_at = now
        if connection.error is not None:
            self._give_up(connection.error)
        elif failure is not None:
            is_patient = now - self._reachable_at < self._plan.patience
            if isinstance(failure, SenderRefused) or not is_patient:
                self._give_up(failure)

    def _give_up(self, error: Exception) -> None:
        if self._fatal is None and not self._stopped.is_set():
            self._fatal = error
            self.stop()

    @staticmethod
    def _is_to_back_off(conversation: Conversation) -> bool:
        """After a number of messages servers close in silence or with a 421 at MAIL: then the next may come at once."""
        failure = conversation.failure
        if failure is None:
            return False
        return not conversation.carried or (failure.reply is not None and failure.stage is not Stage.MAIL)

    def _on_dry(self, seconds: float | None) -> None:
        if seconds is None:
            self._schedule_look()
        elif self._alarm is None:
            self._alarm = self._loop.call_later(seconds, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.wake()

    def _schedule_look(self) -> None:
        """Look around once this packet is dealt with: a conversation cannot be ended while it speaks."""
        if self._supply.is_exhausted and not self._look_is_scheduled:
            self._look_is_scheduled = True
            self._loop.call_soon(self._part_when_exhausted)

    def _schedule_wake(self) -> None:
        self._loop.call_soon(self.wake)

    def _part_when_exhausted(self) -> None:
        """Say goodbye on connections that have nothing to do and will have nothing to do."""
        self._look_is_scheduled = False
        self._changed.set()
        if self._supply.is_exhausted:
            for connection in list(self._connections):
                if connection.conversation.is_idle:
                    connection.finish()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(_CHECK_SECONDS, self._server.timeout / 4))
            for connection in list(self._connections):
                connection.check()

    async def _unless_stopped(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T | None:
        """Return what `work` returns, or None when the run was stopped meanwhile. Raises `TimeoutError`."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if stopped.done():
                return None
            raise TimeoutError
        finally:
            await _cancel([task, stopped])

    def _close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._supply.close(self._fatal if isinstance(self._fatal, DeliveryError) else None)


def prepare() -> None:
    """Import what `run` needs, so that processes which are forked need not do it each."""
    _fast_loop()


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main()` on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(main())


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, else asyncio's own."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


async def _cancel(tasks: list[asyncio.Future[Any]] | list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
