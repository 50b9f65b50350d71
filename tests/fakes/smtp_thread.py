"""The scripted mail server on a port of its own and in a thread of its own: it outlives whoever sends to it.

with MailServer(latency=0.02) as server:
    server.answer("dot", SILENCE, after=10, times=1)
    ...
    arrivals = server.wait_for(11)
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Any, Self, TypeVar

from tests.fakes.smtp_script import ScriptedServer

T = TypeVar("T")

SILENCE = ""
"""The answer of a server that says nothing any more and keeps the connection."""
WITH_PIPELINING = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES")
WITHOUT_PIPELINING = ("SIZE 1000000", "8BITMIME")


@dataclass(frozen=True)
class Arrival:
    """A mail whose final dot arrived; `answer` is what the server said or would have said, None for silence."""

    recipient: str
    message_id: str
    content: bytes
    answer: str | None

    @property
    def is_accepted(self) -> bool:
        return self.answer is not None and self.answer.startswith("2")

    @property
    def may_be_delivered(self) -> bool:
        """Whether the reader may see it: a server that falls silent may have taken it."""
        return self.answer is None or self.is_accepted


@dataclass
class _Order:
    stage: str
    what: str
    recipient: str | None
    after: int
    times: int | None


@dataclass
class MailServer:
    """Stages are those of `smtp_script`: `banner`, `ehlo`, `mail`, `rcpt`, `data`, `dot`, `rset` and `other`."""

    features: tuple[str, ...] = WITH_PIPELINING
    latency: float = 0
    """Seconds between a final dot and the reply to it."""
    close_after: int | None = None
    """Hang up without a word once a connection has carried so many mails."""
    tls: ssl.SSLContext | None = None
    """What it offers STARTTLS with."""
    port: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0
    """How many connections there were at the same time."""
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: list[_Order] = []
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-server")

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen (again), on the same port as before."""
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more and drop every connection, as a server that loses its power does."""
        self._run(self._shut())

    def answer(
        self, stage: str, what: str, *, recipient: str | None = None, after: int = 0, times: int | None = None
    ) -> None:
        """Say `what` at this stage from now on: to one recipient, only `after` so many, only so many times."""
        self._orders.append(_Order(stage, what, recipient, after, times))

    def behave(self) -> None:
        """Forget all orders."""
        self._orders.clear()

    @property
    def accepted(self) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.is_accepted]

    def wait_for(self, count: int, *, seconds: float = 30) -> list[Arrival]:
        """Return what has arrived once that is `count` mails at least."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.arrivals) >= count, seconds), (
                f"{len(self.arrivals)} of {count} mails arrived in {seconds} seconds"
            )
            return list(self.arrivals)

    def wait_for_command(self, beginning: str, *, count: int = 1, seconds: float = 30) -> None:
        """Return once so many commands that begin like this have come, such as `RCPT TO:<ada@`."""

        def heard() -> int:
            return sum(command.upper().startswith(beginning.upper()) for command in list(self.commands))

        with self._changed:
            assert self._changed.wait_for(lambda: heard() >= count, seconds), f"{heard()} of {count} times {beginning}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = ScriptedServer(
            self._decide,
            features=self.features if self.tls is None else (*self.features, "STARTTLS"),
            close_after=self.close_after,
            hear=self._keep,
            commands=self.commands,
        )
        self._count(+1)
        try:
            writer.write(server.greet())
            while not server.is_closed and (data := await reader.read(65_536)):
                arrived = len(server.accepted)
                replies = server.receive(data)
                await asyncio.sleep(self.latency * (len(server.accepted) - arrived))
                writer.write(replies)
                if self.tls is not None and replies.startswith(b"220") and server.commands[-1:] == ["STARTTLS"]:
                    await writer.start_tls(self.tls)
                with self._changed:
                    self._changed.notify_all()
        except (OSError, asyncio.CancelledError):
            pass  # Clients that are killed, and a server that is stopped, are what these tests are about.
        finally:
            self._count(-1)
            writer.close()

    def _count(self, change: int) -> None:
        self._open += change
        self.connections += change > 0
        self.most_at_once = max(self.most_at_once, self._open)

    def _decide(self, stage: str, recipient: str) -> str | None:
        for order in self._orders:
            if order.stage != stage or order.times == 0 or order.recipient not in (None, recipient):
                continue
            if order.after:
                order.after -= 1
                continue
            order.times = None if order.times is None else order.times - 1
            return order.what
        return None

    def _keep(self, recipient: str, content: bytes, answer: str | None) -> None:
        message_id = str(BytesHeaderParser().parsebytes(content)["Message-ID"])
        with self._changed:
            self.arrivals.append(Arrival(recipient, message_id, content, answer))
            self._changed.notify_all()

    async def _shut(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*others, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)
