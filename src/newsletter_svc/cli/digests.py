"""`newsletter digest`: looking at issues, sending them, and seeing how they went."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from newsletter_svc import alerts
from newsletter_svc.cli import alerting, proofing, reporting, sending, steering
from newsletter_svc.cli.options import issue_number, json_option, newsletter_option, number_argument
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import preview as previews
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import chosen_digest_id
from newsletter_svc.digests.preview import Format
from newsletter_svc.digests.progress import report
from newsletter_svc.digests.runs import Outcome
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters

FORMATS = {"html": Format.HTML, "txt": Format.TEXT, "eml": Format.EML, "text": Format.TEXT}
"""As the files are called over HTTP, and one by its longer name."""


@click.group()
def digest() -> None:
    """Preview, send and follow issues."""


for command in (proofing.test, sending.send, steering.pause, steering.resume, steering.cancel):
    digest.add_command(command)


@digest.command()
@newsletter_option
@click.option(
    "--digest", "digest_id", type=issue_number, metavar="NUMBER", help="An issue that was made, by its number."
)
@click.option("--open", "as_address", is_flag=True, help="Print the address of a page that shows it, for an hour.")
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="html")
@click.option("--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="A file to write.")
@with_parts
def preview(
    parts: Parts, slug: str, digest_id: int | None, as_address: bool, format_: str, output: Path | None
) -> None:
    """Show what `send` would send now, or what an issue looks like; nothing is sent or stored."""
    now, tz = utcnow(), parts.settings.timezone
    with parts.database.reading() as session:
        newsletter = newsletters.get(session, slug)
        found = previews.chosen(session, newsletter, digest_id, tz=tz, press=parts.press, now=now)
    if found is None:
        click.echo(
            f"{slug}: nothing new, so there is nothing to preview; --digest NUMBER takes an issue that was made.",
            err=True,
        )
        return
    if as_address:
        until = now + previews.ADDRESS_LIVES
        click.echo(parts.links.preview(digest_id=digest_id, newsletter_id=found.newsletter_id, until=until))
        return
    content = previews.show(found, FORMATS[format_], press=parts.press, now=now)
    if output is None:
        click.echo(content, nl=False)
    else:
        output.write_bytes(content)
        click.echo(f"{output}: {len(content)} bytes.", err=True)


@digest.command()
@newsletter_option
@number_argument
@json_option
@with_parts
def status(parts: Parts, slug: str, number: int | None, as_json: bool) -> None:
    """Count an issue's deliveries by status and name those that are unsettled; the latest issue if none is named.

    Alerts that are not over stand below.
    """
    with parts.database.reading() as session:
        digest_id = chosen_digest_id(session, newsletters.get(session, slug).id, number)
        result = None if digest_id is None else report(session, digest_id, now=utcnow())
        found = alerts.current(session, now=utcnow())
    if as_json:
        issue = reporting.as_json(digest_id, result) if digest_id and result else {"digest_id": None}
        click.echo(json.dumps({**issue, "alerts": alerting.as_json(found)}))
        return
    click.echo(reporting.full(digest_id, result) if digest_id and result else f"{slug}: no issue has been made.")
    for alert in found:
        click.echo(alerting.sentence(alert))


@digest.command("run-due")
@json_option
@with_parts
def run_due(parts: Parts, as_json: bool) -> None:
    """Make every issue that is due. For cron: calling it twice does nothing twice."""
    results = runs.run_due(parts.database, press=parts.press, now=utcnow())
    parts.wake()
    if as_json:
        click.echo(json.dumps([asdict(run) for run in results]))
    else:
        for run in results:
            click.echo(reporting.outcome(run))
        if not results:
            click.echo("No newsletter has a schedule; set one with `newsletter newsletters set`.")
    if any(run.outcome is Outcome.FAILED for run in results):
        raise SystemExit(1)
