"""Starting what is measured: gunicorn with the shipped settings, on a free port of loopback, in a folder of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
UNLIMITED = "1000000/second"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The service's settings for a benchmark: a database of its own, no limit in the way unless asked for."""
    limits = dict.fromkeys(("LIMIT_PER_ADDRESS", "LIMIT_PER_IP", "LIMIT_GLOBAL"), UNLIMITED)
    environ = {**os.environ, "NEWSLETTER_VAR_DIR": str(folder), **limits, **settings}
    # An installation has its modules compiled; without this each start would compile them again.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def newsletter(env: Mapping[str, str], *arguments: str) -> str:
    """Run the command to its end and return what it printed."""
    command = [sys.executable, "-c", "from newsletter_svc.app import main; main()", *arguments]
    return subprocess.run(command, env=dict(env), check=True, capture_output=True, text=True).stdout


@contextmanager
def gunicorn(env: Mapping[str, str], application: str = "newsletter_svc.app:create_app()") -> Iterator[int]:
    """The port of a running gunicorn with the shipped settings."""
    port = free_port()
    own = application.startswith("newsletter_svc")
    options = ["--config", "python:newsletter_svc.gunicorn_conf" if own else "python:benchmarks.bare_conf"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", application],
        env=dict(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
            return
        except OSError:  # Nobody listens yet, or nobody answers yet.
            time.sleep(0.1)
    raise TimeoutError("gunicorn did not start")
