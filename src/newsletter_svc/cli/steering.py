"""`newsletter digest pause`, `resume` and `cancel`: holding an issue that goes out."""

import json
from collections.abc import Iterator

import click

from newsletter_svc.cli import reporting
from newsletter_svc.cli.options import json_option, newsletter_option, number_argument
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import MailingState, Status
from newsletter_svc.digests import steering
from newsletter_svc.digests.issues import chosen_digest_id
from newsletter_svc.digests.progress import Report, report
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters

_DONE = {MailingState.PAUSED: "is paused", MailingState.ACTIVE: "goes on", MailingState.CANCELLED: "is cancelled"}
_ALREADY = {
    MailingState.PAUSED: "is paused already",
    MailingState.ACTIVE: "is going out already",
    MailingState.CANCELLED: "is cancelled already",
}
_TOO_LATE = {MailingState.PAUSED: "pause", MailingState.ACTIVE: "resume", MailingState.CANCELLED: "cancel"}


@click.command()
@newsletter_option
@number_argument
@json_option
@with_parts
def pause(parts: Parts, slug: str, number: int | None, as_json: bool) -> None:
    """Send no more of an issue until it is resumed; what is in flight ends.

    The latest issue if none is named.
    """
    digest_id = _chosen(parts, slug, number)
    changed = steering.pause(parts.database, digest_id, now=utcnow())
    _answer(parts, digest_id, changed=changed, wanted=MailingState.PAUSED, as_json=as_json)


@click.command()
@newsletter_option
@number_argument
@json_option
@with_parts
def resume(parts: Parts, slug: str, number: int | None, as_json: bool) -> None:
    """Let a paused issue go on where it was; the latest issue if none is named."""
    digest_id = _chosen(parts, slug, number)
    changed = steering.resume(parts.database, digest_id, now=utcnow())
    parts.wake()
    _answer(parts, digest_id, changed=changed, wanted=MailingState.ACTIVE, as_json=as_json)


@click.command()
@newsletter_option
@number_argument
@json_option
@with_parts
def cancel(parts: Parts, slug: str, number: int | None, as_json: bool) -> None:
    """End an issue for good: whoever has not got it will not; the latest issue if none is named.

    What is in flight ends as it ends, and deliveries without a reply are named.
    """
    digest_id = _chosen(parts, slug, number)
    changed = steering.cancel(parts.database, digest_id, now=utcnow())
    _answer(parts, digest_id, changed=changed, wanted=MailingState.CANCELLED, as_json=as_json)


def _chosen(parts: Parts, slug: str, number: int | None) -> int:
    with parts.database.reading() as session:
        digest_id = chosen_digest_id(session, newsletters.get(session, slug).id, number)
    if digest_id is None:
        raise click.ClickException(f"{slug}: no issue has been made.")
    return digest_id


def _answer(parts: Parts, digest_id: int, *, changed: bool, wanted: MailingState, as_json: bool) -> None:
    """Say what was done and what is left; exit 1 where the issue can no longer be what was wanted."""
    with parts.database.reading() as session:
        found = report(session, digest_id, now=utcnow())
    is_so = changed or found.progress.state == wanted
    if as_json:
        click.echo(json.dumps({"changed": changed, **reporting.as_json(digest_id, found)}))
    else:
        click.echo("\n".join(_lines(digest_id, found, changed=changed, wanted=wanted)), err=not is_so)
    if not is_so:
        raise SystemExit(1)


def _lines(digest_id: int, found: Report, *, changed: bool, wanted: MailingState) -> Iterator[str]:
    state = found.progress.state
    if changed:
        said = _DONE[wanted]
    elif state == wanted:
        said = _ALREADY[wanted]
    else:
        said = f"{reporting.STATES[state]}, so there is nothing to {_TOO_LATE[wanted]}"
    yield reporting.standing(digest_id, found.progress, said=said)
    if wanted != MailingState.ACTIVE and found.progress.in_flight:
        yield f"  {found.progress.in_flight:,} in a sender's hands: sent or given back within seconds."
    if wanted == MailingState.CANCELLED:
        yield from reporting.unsettled(found, Status.UNKNOWN)
