"""The service as it runs in production: gunicorn and its workers as processes, on a free port of loopback."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from tests.fakes.smtp import Received

ROOT = Path(__file__).parents[2]
START_SECONDS = 30
STOP_SECONDS = 40
"""Longer than the time that gunicorn grants its workers."""


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    """Look again and again until `condition` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} seconds not true: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def magic_link(mail: Received) -> str:
    """The link that stands alone on its line of the text part."""
    [link] = re.findall(r"^https?://\S+/magic-link/\S+$", mail.part("plain"), re.MULTILINE)
    assert isinstance(link, str)
    return link


@dataclass(frozen=True)
class Service:
    """A running service and the process that leads it."""

    port: int
    process: subprocess.Popen[bytes]
    environ: Mapping[str, str]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None, *, cookies: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own, JSON both ways; redirects are not followed."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            given = SimpleCookie()
            for line in response.headers.get_all("Set-Cookie") or []:
                given.load(line)
            kept = {name: morsel.value for name, morsel in given.items()}
            return Answer(response.status, dict(response.headers), response.read(), kept)
        finally:
            connection.close()

    def command(self, *arguments: str) -> str:
        """Run `newsletter` with these arguments beside the service, as cron does; return what it said."""
        program = [sys.executable, "-c", "from newsletter_svc.app import main; main()"]
        done = subprocess.run([*program, *arguments], cwd=ROOT, env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def worker(self) -> Iterator[int]:
        """`newsletter worker` beside the service, for the length of a `with` block; its process id."""
        program = [sys.executable, "-m", "newsletter_svc", "worker"]
        with (
            self.log.open("ab") as output,
            subprocess.Popen(program, cwd=ROOT, env=self.environ, stdout=output) as worker,
        ):
            yield worker.pid
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(STOP_SECONDS) == 0

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"the service has ended: {self.log.read_text()}"
        try:
            return self.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def worker_ids(self) -> set[int]:
        """The process ids of gunicorn's workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(each) for each in children.split()}

    def sender_ids(self) -> set[int]:
        """The process ids of those that keep the senders of this service and live now, whoever their parents are."""
        every = self._all_senders()
        return {each for each in every if _parent(each) not in every}

    def _all_senders(self) -> set[int]:
        mine = f"NEWSLETTER_VAR_DIR={self.environ['NEWSLETTER_VAR_DIR']}".encode()
        return {
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if _read(process / "cmdline").endswith(b"\0sender\0") and mine in _read(process / "environ").split(b"\0")
        }

    def keeper_id(self) -> int:
        """The process id of the worker that keeps the sender running."""
        [sender] = self.sender_ids()
        return _parent(sender)

    def stop(self) -> int:
        """Ask it to end, as a platform does before it starts the next release; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def _parent(process_id: int) -> int:
    """The process that it came of; 0 for one that has ended."""
    found = re.findall(rb"^PPid:\s+(\d+)$", _read(Path(f"/proc/{process_id}/status")), re.MULTILINE)
    return int(found[0]) if found else 0


def _read(path: Path) -> bytes:
    """What stands in a file of /proc; nothing for a process that has ended or is another user's."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def free_port() -> int:
    """A port of loopback that nobody listens on. Who takes it first has it: the service refuses to share."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, port: int, **environ: str) -> Iterator[Service]:
    """Start what the Procfile calls `web`, wait until it is ready, and end all of its processes after the block."""
    log = folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    environ = {"PUBLIC_URL": f"http://127.0.0.1:{port}", "NEWSLETTER_VAR_DIR": str(folder)} | environ
    environ |= {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(port, process, environ, log)
    try:
        wait_until(service.is_ready, "the service is ready", seconds=START_SECONDS)
        yield service
    finally:
        if process.poll() is None:
            service.stop()
