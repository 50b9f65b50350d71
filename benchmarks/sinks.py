"""The mail server of the benchmarks: a small C program that takes everything, so that it is not what is measured."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "sink"


@dataclass(frozen=True)
class Counts:
    """What a sink has taken; `octets` are those of the mails alone, as they stood on the wire."""

    messages: int
    octets: int


@dataclass(frozen=True)
class Sink:
    """A running sink on 127.0.0.1."""

    port: int
    round_trip_ms: int = 0

    def counts(self) -> Counts:
        """What came since it was started."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection, connection.makefile("rb") as replies:
            replies.readline()
            connection.sendall(b"COUNT\r\n")
            words = replies.readline().split()
        return Counts(messages=int(words[2]), octets=int(words[4]))


@contextmanager
def sink(folder: Path, *, round_trip_ms: int = 0) -> Iterator[Sink]:
    """A sink for the length of a `with` block; each reply is held back as long as a round trip takes."""
    program = compiled("sink", folder)
    command = [str(program), "-p", "0", "-d", str(round_trip_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline().split()[1]), round_trip_ms)
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """The port of a sink, for who needs no more."""
    with sink(folder) as found:
        yield found.port


def compiled(name: str, folder: Path) -> Path:
    """The program `sink` or `feed`, compiled into this folder. Raises FileNotFoundError without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("the benchmarks need a C compiler: apt-get install gcc libc6-dev")
    program = folder / name
    if not program.exists():
        subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCES / f"{name}.c")], check=True)
    return program
