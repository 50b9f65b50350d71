"""Scripted mail servers behind a socket of the running event loop, pipelining and encryption included."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes.smtp_script import Decide, ScriptedServer


@dataclass
class Listening:
    """Every connection gets a server of its own; together they are one mail server."""

    decide: Decide
    features: tuple[str, ...] = ("PIPELINING", "SIZE 1000000")
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    close_after: int | None = None
    port: int = 0
    servers: list[ScriptedServer] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a connection falls silent."""

    @property
    def accepted(self) -> dict[str, bytes]:
        return {recipient: mail for server in self.servers for recipient, mail in server.accepted.items()}

    @property
    def mails(self) -> int:
        return sum(len(server.accepted) for server in self.servers)

    @property
    def commands(self) -> list[str]:
        return [command for server in self.servers for command in server.commands]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = ScriptedServer(self.decide, features=self.features, close_after=self.close_after)
        self.servers.append(server)
        writer.write(server.greet())
        try:
            while not server.is_closed and (data := await reader.read(65_536)):
                writer.write(server.receive(data))
                if server.commands[-1:] == ["STARTTLS"] and self.tls is not None:
                    await writer.start_tls(self.tls)
                if server.is_hanging:
                    self.hanging.set()
        except OSError:
            pass  # A client that goes away is what some tests are about.
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: Listening) -> AsyncIterator[Listening]:
    tls = server.tls if server.implicit_tls else None
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        others = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "Listening.serve"]  # type: ignore[union-attr]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
