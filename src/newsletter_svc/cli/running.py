"""The service in the foreground: `newsletter serve`, its sender, and `newsletter worker`."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import click

from newsletter_svc.cli.crews import STOP_SECONDS, work_of
from newsletter_svc.cli.program import Program, with_parts
from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.crew import Crew
from newsletter_svc.jobs.forks import at_end_of
from newsletter_svc.parts import Parts


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
@click.option("--beat", is_flag=True, help="Be the clock that makes due issues, in place of cron; needs BROKER_URL.")
@click.pass_context
def worker(context: click.Context, beat: bool) -> None:
    """Send what is due, until SIGTERM or Ctrl-C; what is in flight then ends first.

    With BROKER_URL this is one of any number of workers, on as many machines.
    """
    settings = context.ensure_object(Program).settings
    if settings.broker_url is None:
        if beat:
            raise click.UsageError("--beat needs BROKER_URL; without a broker cron calls `newsletter digest run-due`.")
        context.invoke(_work_alone)
        return
    from newsletter_svc.cli import machines

    if beat:
        machines.tick(settings.broker_url, lease_seconds=settings.delivery_lease_seconds)
    else:
        machines.lead_nodes(told_to_stop(), bulk=settings.mail_processes, stop_seconds=STOP_SECONDS)


@with_parts
def _work_alone(parts: Parts) -> None:
    click.echo("The sender is running.")
    _lead(parts)


@click.command(hidden=True)
@with_parts
def sender(parts: Parts) -> None:
    """Send what is due for as long as the web process that started this lives: until standard input ends."""
    _lead(parts, orders=sys.stdin.fileno())


@click.command(hidden=True)
@click.argument("lane", type=click.Choice([lane.value for lane in Lane]))
@with_parts
def node(parts: Parts, lane: str) -> None:
    """Be a worker's node for one lane, for as long as the worker that started this lives."""
    broker_url = parts.settings.broker_url
    if broker_url is None:
        raise click.UsageError("A node needs BROKER_URL.")
    from newsletter_svc.cli import machines

    # Celery has a handler of its own for SIGTERM, which ends the node as this command's caller wants it.
    at_end_of(sys.stdin.fileno(), partial(os.kill, os.getpid(), signal.SIGTERM))
    sys.exit(machines.work(parts, broker_url, lane=Lane(lane)))


def _lead(parts: Parts, *, orders: int | None = None) -> None:
    """Keep this machine's senders running, each in a process of its own."""
    crew = Crew(work_of(parts), bulk=parts.settings.mail_processes, stop_seconds=STOP_SECONDS)
    if not crew.keep(orders):
        raise click.ClickException("A message is still in flight; its delivery will be reported as unknown.")


def told_to_stop() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets; whoever starts a process that ignores Ctrl-C wants it to go on doing so."""
    told = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(signal_number) is not signal.SIG_IGN:
            signal.signal(signal_number, lambda *_: told.set())
    return told
