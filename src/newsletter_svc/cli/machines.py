"""`newsletter worker` where BROKER_URL is set: nodes that are kept running, each in a process of its own, or the clock.

Imported only there, since Celery takes its time to start.
"""

import sys
import threading
import time

import click

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.celery_app import make_celery
from newsletter_svc.jobs.clock import run_clock
from newsletter_svc.jobs.duties import Duties
from newsletter_svc.jobs.hints import Hints
from newsletter_svc.jobs.node import run_node
from newsletter_svc.jobs.process import SenderProcess
from newsletter_svc.parts import Parts


def lead_nodes(told: threading.Event, *, bulk: int, stop_seconds: float) -> None:
    """Keep a node for sign-in mail and so many for digests running until `told`, and let what is in flight end."""
    lanes = [Lane.TRANSACTIONAL, *[Lane.BULK] * bulk]
    nodes = [SenderProcess(_command(lane), lock=None) for lane in lanes]
    for node in nodes:
        node.start()
    click.echo("The worker is running.")
    told.wait()
    for node in nodes:
        node.ask_to_stop()
    deadline = time.monotonic() + stop_seconds
    ended = [node.stop(timeout=max(0.0, deadline - time.monotonic())) for node in nodes]
    if not all(ended):
        raise click.ClickException("A message is still in flight; its delivery will be reported as unknown.")


def work(parts: Parts, broker_url: str, *, lane: Lane) -> int:
    """Be a node; return the exit code."""
    celery = make_celery(broker_url)
    duties = Duties(parts.sender, parts.bulk, parts.press, Hints(celery))
    return run_node(celery, duties, lane=lane)


def tick(broker_url: str, *, lease_seconds: int) -> None:
    """Be the clock."""
    click.echo("The clock is running.")
    run_clock(make_celery(broker_url), lease_seconds=lease_seconds)


def _command(lane: Lane) -> tuple[str, ...]:
    return (sys.executable, "-m", "newsletter_svc", "node", lane.value)
