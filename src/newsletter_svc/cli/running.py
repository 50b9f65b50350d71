"""`newsletter serve` and `newsletter worker`: the service in the foreground."""

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


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Where to listen; without it $PORT, or 127.0.0.1:8000.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many web processes, each with its sender.")
@click.pass_obj
def serve(program: Program, bind: str | None, workers: int | None) -> None:
    """Run the web service under gunicorn, with senders in its processes."""
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
    told = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: told.set())
    threads = SenderThreads(parts.sender)
    threads.start()
    click.echo("The sender is running.")
    told.wait()
    if not threads.stop():
        raise click.ClickException("A message is still in flight; its delivery will be reported as unknown.")
