"""Workers as they run on machines of their own: `newsletter worker` with a folder each, ended or killed at will."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.e2e.service import ROOT, STOP_SECONDS, wait_until

NODES = 2
"""One for each lane."""


@dataclass(frozen=True)
class Worker:
    """A running worker, which leads processes of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_ready(self) -> bool:
        """Whether its nodes listen for hints."""
        return self.log.read_text().count("node_ready") >= NODES

    def process_ids(self) -> list[int]:
        """Its own and those of all that it has started."""
        return list(_descendants(self.process.pid))

    def kill(self) -> None:
        """End all of its processes at once, as a machine that loses its power does."""
        for process_id in self.process_ids():
            os.kill(process_id, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end, as a platform does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def working(folder: Path, *options: str, **environ: str) -> Iterator[Worker]:
    """Run `newsletter worker` with `folder` as its disk, and end it after the block."""
    folder.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    log = folder / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter_svc", "worker", *options],
            cwd=ROOT,
            env={**kept, **environ, "NEWSLETTER_VAR_DIR": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    worker = Worker(process, log)
    try:
        yield worker
    finally:
        if process.poll() is None:
            worker.stop()


def _descendants(process_id: int) -> Iterator[int]:
    """Whichever of its threads started them; a process that has ended meanwhile has none."""
    yield process_id
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in children.read_text().split():
                yield from _descendants(int(child))


class RedisServer:
    """A broker of a test's own, which it may take away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis+socket://{path}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return once it listens."""
        self._path.unlink(missing_ok=True)
        command = ["redis-server", "--port", "0", "--unixsocket", str(self._path), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._path.parent, stdout=subprocess.DEVNULL)
        wait_until(self._path.is_socket, "Redis listens")

    def stop(self) -> None:
        """End it, with everything that it kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


def environment(database_url: str, broker_url: str, mail_port: int, **more: str) -> Mapping[str, str]:
    """What all machines are told alike."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(mail_port),
        "UNKNOWN_RESEND_SECONDS": "1",
        **more,
    }
