"""`newsletter digest send`: making an issue, and staying until it is out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import click

from newsletter_svc import alerts
from newsletter_svc.cli import alerting, reporting
from newsletter_svc.cli.crews import STOP_SECONDS, senders_for, work_of
from newsletter_svc.cli.options import json_option, newsletter_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.cli.showing import display
from newsletter_svc.cli.watching import wait_for
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import MailingState
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import latest_digest_id
from newsletter_svc.digests.progress import Report, report
from newsletter_svc.digests.runs import Outcome, Run
from newsletter_svc.jobs.crew import Reserve
from newsletter_svc.logs import only_warnings
from newsletter_svc.parts import Parts
from newsletter_svc.streams import outliving_the_terminal
from newsletter_svc.subscribers import newsletters


@click.command()
@newsletter_option
@click.option("--wait", is_flag=True, help="Send along and return when nothing is due any more.")
@json_option
@with_parts
def send(parts: Parts, slug: str, wait: bool, as_json: bool) -> None:
    """Make an issue of everything new and send it.

    Without --wait a running `serve` or `worker` sends it. With --wait an earlier issue that is not out yet, since its
    sending was cut short, is finished too; closing the terminal does not end it, Ctrl-C does.
    """
    with outliving_the_terminal(), _reserve(parts) if wait else nullcontext() as reserve:
        run, latest = _make_issue(parts, slug)
        parts.wake()
        if not as_json:
            click.echo(reporting.outcome(run))
        found = _follow(parts, run, latest, reserve=reserve, quiet=as_json) if latest else None
        if as_json:
            click.echo(json.dumps({**asdict(run), **(reporting.as_json(latest, found) if latest and found else {})}))
        elif latest and found:
            click.echo(reporting.full(latest, found) if wait else reporting.standing(latest, found.progress))
        if wait and found and not _is_out(found):
            _tell_of_trouble(parts, quiet=as_json)
            raise SystemExit(1)


@contextmanager
def _reserve(parts: Parts) -> Iterator[Reserve]:
    """Senders that are ready before the issue is: forked before there is a connection that a fork would break."""
    with only_warnings():
        reserve = Reserve(work_of(parts), stop_seconds=STOP_SECONDS)
    try:
        yield reserve
    finally:
        reserve.stop()


def _make_issue(parts: Parts, slug: str) -> tuple[Run, int | None]:
    """What became of it, and the newsletter's latest issue, which may be an earlier one."""
    press = parts.press
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, slug)
        run = runs.send_now(session, newsletter, tz=parts.settings.timezone, press=press, now=utcnow())
        return run, run.digest_id or latest_digest_id(session, newsletter.id)


def _follow(parts: Parts, run: Run, digest_id: int, *, reserve: Reserve | None, quiet: bool) -> Report | None:
    """How far the issue has come, with senders at its end; None where there is nothing to tell of it."""
    if reserve is None and run.outcome is not Outcome.NOTHING_NEW:
        return None
    with parts.database.reading() as session:
        found = report(session, digest_id, now=utcnow())
    if found.progress.state not in (MailingState.ACTIVE, MailingState.PAUSED):
        return None
    if reserve is None:
        return found
    reserve.start(bulk=senders_for(found.progress.to_send, most=parts.settings.mail_processes))
    with display(quiet=quiet) as show:
        return wait_for(reserve, parts, digest_id, show=show)


def _tell_of_trouble(parts: Parts, *, quiet: bool) -> None:
    """The alerts that are not over, to the error output: one of them may be why it is not out."""
    with parts.database.reading() as session:
        found = alerts.current(session, now=utcnow())
    for alert in found if not quiet else ():
        click.echo(alerting.sentence(alert), err=True)


def _is_out(found: Report) -> bool:
    """Whether every reader's delivery has come to its end, and not by somebody's hand."""
    is_held = found.progress.state in (MailingState.PAUSED, MailingState.CANCELLED)
    return found.progress.settled + found.progress.later == found.progress.total and not is_held
