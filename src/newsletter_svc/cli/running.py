"""The service in the foreground: `newsletter serve`, its sender, and `newsletter worker`."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import click

from newsletter_svc.cli.program import Program, with_parts
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.parts import Parts

STOP_SECONDS = 25
"""What is in flight may take so long to end: less than gunicorn grants its workers."""


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Where to listen; without it $PORT, or 127.0.0.1:8000.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many web processes.")
@click.pass_obj
def serve(program: Program, bind: str | None, workers: int | None) -> None:
    """Run the web service under gunicorn, with a sender beside it."""
    _ = program.settings  # Gunicorn would show a wrong setting as a crash of a worker.
    options = ["--bind", bind] if bind else []
    options += ["--workers", str(workers)] if workers else []
    run_gunicorn(options)


def run_gunicorn(options: Sequence[str]) -> NoReturn:
    """Become gunicorn with the shipped settings and these options on top."""
    command = [sys.executable, "-m", "gunicorn", "--config", "python:newsletter_svc.gunicorn_conf", *options]
    os.execv(sys.executable, [*command, "newsletter_svc.app:create_app()"])  # noqa: S606 - no shell is wanted.


@click.command()
@with_parts
def worker(parts: Parts) -> None:
    """Send what is due, until SIGTERM or Ctrl-C; what is in flight then ends first."""
    click.echo("The sender is running.")
    _send_until(_told_to_stop(), parts)


@click.command(hidden=True)
@with_parts
def sender(parts: Parts) -> None:
    """Send what is due for as long as the web process that started this lives: until standard input ends."""
    told = _told_to_stop()
    threading.Thread(target=_wait_for_end_of_input, args=(told,), daemon=True).start()
    _send_until(told, parts)


def _send_until(told: threading.Event, parts: Parts) -> None:
    threads = SenderThreads(parts.sender, parts.bulk)
    threads.start()
    told.wait()
    if not threads.stop(timeout=STOP_SECONDS):
        raise click.ClickException("A message is still in flight; its delivery will be reported as unknown.")


def _told_to_stop() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets."""
    told = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: told.set())
    return told


def _wait_for_end_of_input(told: threading.Event) -> None:
    # Not through `sys.stdin`: a thread that waits inside it makes the interpreter fail when it ends.
    while os.read(0, 1):
        pass
    told.set()
