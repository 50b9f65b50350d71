"""The databases of the benchmarks: filled once, then copied, so that every job begins with the same rows."""

import itertools
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

Fill = Callable[[str], None]
"""Makes tables and rows in the database with this address."""


class Store(Protocol):
    """One kind of database."""

    name: str

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The address of a fresh copy of what was filled, for the length of a `with` block."""


class Sqlite:
    """A file in this folder."""

    name = "SQLite"

    def __init__(self, folder: Path, fill: Fill) -> None:
        self._folder = folder
        self._filled = folder / "filled.db"
        fill(f"sqlite:///{self._filled}")
        with sqlite3.connect(self._filled) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    @contextmanager
    def copy(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            path = Path(name) / "newsletter.db"
            shutil.copyfile(self._filled, path)
            os.sync()  # Or what is written back later would fall into what is measured.
            yield f"sqlite:///{path}"


class Postgres:
    """Databases of a server that `postgres_server` has started."""

    name = "PostgreSQL"

    def __init__(self, server: "Server", fill: Fill) -> None:
        self._server = server
        self._numbers = itertools.count()
        server.sql("CREATE DATABASE filled")
        fill(server.url("filled"))

    @contextmanager
    def copy(self) -> Iterator[str]:
        name = f"job{next(self._numbers)}"
        self._server.sql(f"CREATE DATABASE {name} TEMPLATE filled")
        self._server.sql("CHECKPOINT")
        try:
            yield self._server.url(name)
        finally:
            self._server.sql(f"DROP DATABASE {name} WITH (FORCE)")


class Server:
    """A PostgreSQL of our own: a folder, and a socket in it."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def sql(self, statement: str) -> None:
        self.run("psql", "--no-psqlrc", "--quiet", f"--host={self._folder}", "--username=postgres", "-c", statement)

    def run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        prefix = ["runuser", "--user", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*prefix, str(self._programs / program), *arguments]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL)


@contextmanager
def postgres_server() -> Iterator[Server | None]:
    """A server with the settings that PostgreSQL comes with; None where it is not installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not programs:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="postgres.") as name:
        folder = Path(name)
        server, data, log = Server(folder, programs[-1]), folder / "data", folder / "server.log"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server.run("initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
        server.run("pg_ctl", "start", f"--pgdata={data}", f"--log={log}", "--silent", "--wait", f"--options={options}")
        try:
            yield server
        finally:
            server.run("pg_ctl", "stop", f"--pgdata={data}", "--mode=fast", "--silent")
