"""`newsletter bounces`: reading the mail that comes back."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import click
from sqlalchemy.exc import DBAPIError

from newsletter_svc.cli import maildirs
from newsletter_svc.cli.options import json_option
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import returned, returned_mailbox
from newsletter_svc.delivery.bounces import Outcome
from newsletter_svc.delivery.returned import Ignored, Reading
from newsletter_svc.mail import fetching, reports
from newsletter_svc.mail.fetching import MailboxTrouble
from newsletter_svc.parts import Parts

TRY_AGAIN_LATER = 75
"""EX_TEMPFAIL of sysexits.h: a mail server that started us keeps the message, where 1 would make it bounce."""
CHUNK = 64 * 1024
SENTENCES: dict[Outcome | Ignored, str] = {
    Outcome.SUPPRESSED: "the address is suppressed",
    Outcome.COUNTED: "it is counted; the address is not suppressed yet",
    Outcome.REPEATED: "it was on record already, so nothing changed",
    Ignored.NOT_A_REPORT: "this is no report about mail of ours",
    Ignored.UNREADABLE: "nothing can be made of it, and it is set aside",
    Ignored.AUTOMATIC_REPLY: "this is an automatic reply",
    Ignored.NOT_OURS: "it names no delivery of ours that could be believed",
    Ignored.NOT_FINAL: "nothing has failed for good",
    Ignored.NOT_THE_READER: "it does not name the reader whom we wrote to",
    Ignored.NOT_THE_ADDRESS: "it speaks of us or of our mail, not of the reader's address",
    Ignored.NOT_A_COMPLAINT: "this kind of feedback is no complaint",
    Ignored.ERASED: "the reader was erased",
}


@click.group()
def bounces() -> None:
    """Take in the mail that comes back."""


@bounces.command()
@click.option(
    "--maildir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Read every unseen message of this Maildir, and mark it as seen.",
)
@click.option("--mailbox", is_flag=True, help="Read every unseen message of the mailbox at BOUNCE_MAILBOX.")
@json_option
@with_parts
def read(parts: Parts, maildir: Path | None, mailbox: bool, as_json: bool) -> None:
    """Read a bounce or a complaint from standard input, or all that wait in a Maildir or a mailbox.

    What changed is printed, or why nothing did; both are exit 0. Reading a message twice changes nothing. Exit 75
    means that the database cannot be reached now, so that a mail server which started this tries again.
    """
    if mailbox and maildir:
        raise click.UsageError("--maildir and --mailbox exclude each other.")
    readings: list[tuple[str, Reading]] = []
    trouble = None
    try:
        if mailbox:
            trouble = _read_mailbox(parts, readings)
        elif maildir:
            readings.extend(_maildir(parts, maildir))
        else:
            readings.append(("", _take(parts, _standard_input())))
    except DBAPIError as error:
        click.echo(f"The database did not take it ({type(error).__name__}); try again later.", err=True)
        raise SystemExit(TRY_AGAIN_LATER) from None
    if as_json:
        click.echo(json.dumps([_as_dict(name, reading) for name, reading in readings]))
    else:
        _tell(readings, is_many=mailbox or maildir is not None)
    if trouble is not None:
        raise click.ClickException(f"{trouble} What was read so far is done.")


def sentence(reading: Reading) -> str:
    """`Delivery 47, hard bounce 5.1.1: the address is suppressed.`"""
    about = [] if reading.delivery_id is None else [f"delivery {reading.delivery_id}"]
    if reading.kind is not None:
        what = reading.kind if reading.kind == "complaint" else f"{reading.kind} bounce"
        about.append(f"{what} {reading.status}")
    said = ", ".join(["nothing changed", *about] if reading.is_ignored else about)
    return f"{said[:1].upper()}{said[1:]}: {SENTENCES[reading.result]}."


def _tell(readings: list[tuple[str, Reading]], *, is_many: bool) -> None:
    for name, reading in readings:
        click.echo(f"{name}: {sentence(reading)}" if name else sentence(reading))
    if is_many:
        click.echo(_summary([reading for _, reading in readings]))


def _read_mailbox(parts: Parts, readings: list[tuple[str, Reading]]) -> MailboxTrouble | None:
    """Read into `readings` what waits at BOUNCE_MAILBOX; return what ended that early, if anything did."""
    address = parts.settings.bounce_mailbox
    if address is None:
        raise click.UsageError("BOUNCE_MAILBOX is not set: imaps://user:password@mail.example.org/INBOX")
    try:
        with fetching.opened(address, limit=reports.LIMIT) as messages:
            readings.extend(
                returned_mailbox.take_all(
                    messages, database=parts.database, keyring=parts.keyring, complained=parts.complained
                )
            )
    except MailboxTrouble as trouble:
        return trouble
    return None


def _maildir(parts: Parts, folder: Path) -> Iterator[tuple[str, Reading]]:
    for message in maildirs.unseen(folder):
        with message.open("rb") as stream:
            reading = _take(parts, stream.read(reports.LIMIT))
        # Only now: whoever is interrupted in between reads it again, which changes nothing.
        maildirs.mark_seen(message)
        yield message.name, reading


def _take(parts: Parts, raw: bytes) -> Reading:
    with parts.database.transaction() as session:
        return returned.take(session, raw, keyring=parts.keyring, complained=parts.complained, now=utcnow())


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        raise click.UsageError("A message is read from standard input: newsletter bounces read < message")
    raw = sys.stdin.buffer.read(reports.LIMIT)
    _drain(sys.stdin.buffer)
    if not raw.strip():
        raise click.ClickException("There is no message on standard input.")
    return raw


def _drain(stream: IO[bytes]) -> None:
    """Read what is left and forget it: a mail server that cannot write all of it would call that a failure."""
    while stream.read(CHUNK):
        pass


def _as_dict(name: str, reading: Reading) -> dict[str, Any]:
    named = {"message": name} if name else {}
    return {**named, **asdict(reading), "ignored": reading.is_ignored}


def _summary(readings: list[Reading]) -> str:
    counts = Counter("ignored" if reading.is_ignored else str(reading.result) for reading in readings)
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    return f"{len(readings):,} read{f': {told}' if told else ''}."
