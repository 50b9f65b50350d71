"""A mail server on loopback that keeps raw bytes and misbehaves as it is told.

with Sink() as sink:
    sink.answer("rcpt", "550 5.1.1 no such user", recipient="bob@example.org")
    ...
    [mail] = sink.wait_for(1)
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from enum import Enum, auto
from functools import cached_property
from typing import Any, Self, TypeVar

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

T = TypeVar("T")


class Do(Enum):
    """What a server does instead of answering."""

    CLOSE = auto()
    HANG = auto()


@dataclass(frozen=True)
class Received:
    """A mail whose final dot arrived; `answer` is what the sender was told, None where it was told nothing."""

    envelope_sender: str
    recipients: tuple[str, ...]
    mail_options: tuple[str, ...]
    raw: bytes
    answer: str | None

    @cached_property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @cached_property
    def headers(self) -> Message:
        """Of a thousand mails, what is read for a look at their headers."""
        return BytesHeaderParser().parsebytes(self.raw.partition(b"\r\n\r\n")[0])

    def part(self, subtype: str) -> str:
        """The decoded text of the part `plain` or `html`, with `\\n` at the ends of lines."""
        body = self.message.get_body((subtype,))
        assert body is not None, f"the mail has no {subtype} part"
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass
class _Order:
    stage: str
    what: str | Do
    recipient: str | None
    times: int | None


@dataclass
class Sink:
    """The server. Stages are `banner`, `ehlo`, `mail`, `rcpt`, `data`, `dot` and `rset`."""

    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    credentials: tuple[str, str] | None = None
    size_limit: int = 33_554_432
    close_after: int | None = None
    """Hang up without a word once a connection has carried so many mails."""
    host: str = "127.0.0.1"
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    """Every command line of every connection, without its line end."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: list[_Order] = []
        self.transports: list[asyncio.Transport] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-sink")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, stage: str, what: str | Do, *, recipient: str | None = None, times: int | None = None) -> None:
        """Answer `what` at `stage` from now on: to one recipient only, or so many times only."""
        self._orders.append(_Order(stage, what, recipient, times))

    def behave(self) -> None:
        """Forget all orders."""
        self._orders.clear()

    def hang_up(self) -> None:
        """Close every connection that is open, without a word."""

        async def close_all() -> None:
            for transport in self.transports:
                transport.close()

        self._run(close_all())

    def wait_for(self, count: int, *, seconds: float = 30) -> list[Received]:
        """Return what was received once that is `count` mails at least."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), (
                f"{len(self.received)} of {count} mails arrived in {seconds} seconds"
            )
            return list(self.received)

    def keep(self, mail: Received) -> None:
        with self._changed:
            self.received.append(mail)
            self._changed.notify_all()

    def order_for(self, stage: str, recipient: str | None) -> str | Do | None:
        for order in self._orders:
            if order.stage == stage and order.times != 0 and order.recipient in (None, recipient):
                order.times = None if order.times is None else order.times - 1
                return order.what
        return None

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        is_right = (given.login.decode(), given.password.decode()) == self.credentials
        return AuthResult(success=is_right, handled=False)

    async def _listen(self) -> asyncio.Server:
        tls = self.tls if self.implicit_tls else None
        return await self._loop.create_server(lambda: _Conversation(self, self._loop), self.host, 0, ssl=tls)

    async def _shut(self) -> None:
        self._server.close()
        for transport in self.transports:
            # Python 3.11.2 forgets the inside of a TLS transport that was closed twice, and fails to abort it.
            with contextlib.suppress(AttributeError):
                transport.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class _Conversation(SMTP):
    """One connection: aiosmtpd's server with the sink's orders before each of its answers."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self._sink = sink
        self._carried = 0
        super().__init__(
            _Hooks(self.dot),
            hostname="sink.example",
            loop=loop,
            data_size_limit=sink.size_limit,
            tls_context=None if sink.implicit_tls else sink.tls,
            auth_require_tls=False,
            authenticator=sink.authenticate if sink.credentials else None,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.session is None:  # STARTTLS makes the connection a second time.
            self._sink.connections += 1
            assert isinstance(transport, asyncio.Transport)
            self._sink.transports.append(transport)
        super().connection_made(transport)

    async def _handle_client(self) -> None:
        if not await self._obeys("banner"):
            await super()._handle_client()
        elif self.transport is not None:
            self.transport.close()

    async def smtp_EHLO(self, hostname: str) -> None:
        self._sink.commands.append(f"EHLO {hostname}")
        if not await self._obeys("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_MAIL(self, arg: str | None) -> None:
        self._sink.commands.append(f"MAIL {arg}")
        if not await self._obeys("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        self._sink.commands.append(f"RCPT {arg}")
        if not await self._obeys("rcpt", (arg or "").removeprefix("TO:").strip("<>")):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        self._sink.commands.append("DATA")
        if not await self._obeys("data", self._recipient):
            await super().smtp_DATA(arg)
        if self._carried == self._sink.close_after and self.transport is not None:
            self.transport.close()

    async def smtp_QUIT(self, arg: str) -> None:
        self._sink.commands.append("QUIT")
        await super().smtp_QUIT(arg)

    async def smtp_RSET(self, arg: str) -> None:
        self._sink.commands.append("RSET")
        if not await self._obeys("rset"):
            await super().smtp_RSET(arg)

    async def dot(self, envelope: Envelope) -> str:
        """Keep a mail whose final dot arrived, and say what becomes of it."""
        order = self._sink.order_for("dot", self._recipient)
        answer = order if isinstance(order, str) else None if order else f"250 2.0.0 Ok: queued as {id(envelope):X}"
        self._sink.keep(
            Received(
                envelope_sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                mail_options=tuple(envelope.mail_options),
                raw=envelope.original_content or b"",
                answer=answer,
            )
        )
        self._carried += 1
        if answer is None:
            await self._do(order)
        return answer or ""

    @property
    def _recipient(self) -> str | None:
        return self.envelope.rcpt_tos[0] if self.envelope and self.envelope.rcpt_tos else None

    async def _obeys(self, stage: str, recipient: str | None = None) -> bool:
        order = self._sink.order_for(stage, recipient)
        if order is not None:
            await self._do(order)
        return order is not None

    async def _do(self, order: str | Do | None) -> None:
        if isinstance(order, str):
            await self.push(order)
            return
        if order is Do.CLOSE and self.transport is not None:
            self.transport.close()
        # The loss of the connection, which either side may end, cancels this.
        try:
            await asyncio.Event().wait()
        finally:
            self._writer.close()


class _Hooks:
    """What aiosmtpd calls back."""

    def __init__(self, dot: Callable[[Envelope], Awaitable[str]]) -> None:
        self._dot = dot

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return await self._dot(envelope)
