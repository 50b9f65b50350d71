"""`newsletter digest`: looking at issues, sending them, and seeing how they went."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter_svc import alerts
from newsletter_svc.cli import alerting
from newsletter_svc.cli.program import with_parts
from newsletter_svc.cli.watching import display, send_and_wait
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import preview as previews
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import Press, latest_digest_id
from newsletter_svc.digests.letter import load_issue
from newsletter_svc.digests.preview import Format
from newsletter_svc.digests.progress import Progress, anything_unfinished, progress
from newsletter_svc.digests.runs import Outcome, Run
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters

_WORDS = {
    Outcome.NOTHING_NEW: "nothing new, so no issue was made",
    Outcome.ALREADY_RUN: "seen to already",
    Outcome.NOT_DUE: "not due yet",
}

newsletter_option = click.option("--newsletter", "slug", default=newsletters.DEFAULT_SLUG, show_default=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@click.group()
def digest() -> None:
    """Preview, send and follow issues."""


@digest.command()
@newsletter_option
@click.option("--digest", "digest_id", type=int, metavar="NUMBER", help="An issue that was made, by its number.")
@click.option("--format", "format_", type=click.Choice([each.value for each in Format]), default=Format.HTML.value)
@click.option("--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="A file to write.")
@with_parts
def preview(parts: Parts, slug: str, digest_id: int | None, format_: str, output: Path | None) -> None:
    """Show what `send` would send now, or what an issue looks like; nothing is sent or stored."""
    press = Press(parts.composer, parts.message_domain)
    with parts.database.reading() as session:
        if digest_id is None:
            newsletter = newsletters.get(session, slug)
            found = previews.upcoming(session, newsletter, tz=parts.settings.timezone, press=press, now=utcnow())
        else:
            found = load_issue(session, digest_id)
    if found is None:
        click.echo(f"{slug}: nothing new, so there is nothing to preview.", err=True)
        return
    content = previews.show(found, Format(format_), press=press, links=parts.links, now=utcnow())
    if output is None:
        click.echo(content, nl=False)
    else:
        output.write_bytes(content)
        click.echo(f"{output}: {len(content)} bytes.", err=True)


@digest.command()
@newsletter_option
@click.option("--wait", is_flag=True, help="Send along and return when nothing is due any more.")
@json_option
@with_parts
def send(parts: Parts, slug: str, wait: bool, as_json: bool) -> None:
    """Make an issue of everything new and send it.

    Without --wait a running `serve` or `worker` sends it. With --wait an earlier issue that is not out yet, since its
    sending was cut short, is finished too.
    """
    press = Press(parts.composer, parts.message_domain)
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, slug)
        run = runs.send_now(session, newsletter, tz=parts.settings.timezone, press=press, now=utcnow())
        latest = run.digest_id or latest_digest_id(session, newsletter.id)
    parts.wake()
    if not as_json:
        click.echo(_sentence(run))
    if not (wait and latest and (run.digest_id or _is_unfinished(parts, latest))):
        if as_json:
            click.echo(json.dumps(asdict(run)))
        return
    with display(quiet=as_json) as show:
        result = send_and_wait(parts, latest, show=show)
    click.echo(json.dumps({**asdict(run), **_as_json(latest, result)}) if as_json else _report(latest, result))
    if result.settled < result.total:
        raise SystemExit(1)


@digest.command()
@newsletter_option
@click.argument("digest_id", type=int, required=False, metavar="[NUMBER]")
@json_option
@with_parts
def status(parts: Parts, slug: str, digest_id: int | None, as_json: bool) -> None:
    """Count an issue's deliveries by status and name those that are unsettled; the latest issue if none is named.

    Alerts that are not over stand below.
    """
    with parts.database.reading() as session:
        if digest_id is None:
            digest_id = latest_digest_id(session, newsletters.get(session, slug).id)
        else:
            load_issue(session, digest_id)
        result = None if digest_id is None else progress(session, digest_id)
        found = alerts.current(session, now=utcnow())
    if as_json:
        issue = _as_json(digest_id, result) if digest_id and result else {"digest_id": None}
        click.echo(json.dumps({**issue, "alerts": alerting.as_json(found)}))
        return
    click.echo(_report(digest_id, result) if digest_id and result else f"{slug}: no issue has been made.")
    for alert in found:
        click.echo(alerting.sentence(alert))


@digest.command("run-due")
@json_option
@with_parts
def run_due(parts: Parts, as_json: bool) -> None:
    """Make every issue that is due. For cron: calling it twice does nothing twice."""
    results = runs.run_due(parts.database, press=Press(parts.composer, parts.message_domain), now=utcnow())
    parts.wake()
    if as_json:
        click.echo(json.dumps([asdict(run) for run in results]))
    else:
        for run in results:
            click.echo(_sentence(run))
        if not results:
            click.echo("No newsletter has a schedule; set one with `newsletter newsletters set`.")
    if any(run.outcome is Outcome.FAILED for run in results):
        raise SystemExit(1)


def _is_unfinished(parts: Parts, digest_id: int) -> bool:
    with parts.database.reading() as session:
        return anything_unfinished(session, digest_id, now=utcnow())


def _sentence(run: Run) -> str:
    name = f"{run.newsletter} {run.period}".strip()
    if run.outcome is Outcome.FAILED:
        return f"{name}: failed ({run.reason}); the next call tries again"
    if run.outcome is not Outcome.PUBLISHED:
        return f"{name}: {_WORDS[run.outcome]}"
    skipped = f", {run.skipped} that cannot be rendered left out" if run.skipped else ""
    articles, readers = _many(run.articles, "article"), _many(run.recipients, "reader")
    return f"{name}: issue {run.digest_id} with {articles}{skipped}, for {readers}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _report(digest_id: int, result: Progress) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in result.counts.items() if count) or "no readers"
    lines = [f"Issue {digest_id}: {counts}"]
    lines += [f"  failed: {count} x {reason}" for reason, count in result.failures.items()]
    lines += [
        f"  {each.status}: {each.recipient} ({each.reason}; due at {each.due_at:%Y-%m-%d %H:%M} UTC)"
        for each in result.unsettled
    ]
    return "\n".join(lines)


def _as_json(digest_id: int, result: Progress) -> dict[str, Any]:
    return {
        "digest_id": digest_id,
        "total": result.total,
        "counts": dict(result.counts),
        "failures": dict(result.failures),
        "unsettled": [{**asdict(each), "due_at": each.due_at.isoformat()} for each in result.unsettled],
    }
