"""Lists as CSV over HTTP: one comes in whole before any of it is taken, its report and others stream out."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO, Protocol, cast

import structlog
from flask import Response, request
from gunicorn.http.errors import NoMoreData, ParseException
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from newsletter_svc.errors import NewsletterError
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers.csv_file import BrokenFile, CsvFile
from newsletter_svc.subscribers.import_plans import Refusal

CSV = "text/csv"
NDJSON = "application/x-ndjson"
MEGABYTE = 1_000_000
_BLOCK = 64 * 1024
NOTHING_IMPORTED = "Nothing was imported."
_CUT_SHORT = "The database stopped this. What is counted is in; send the list again, and it goes on from there."

log = structlog.get_logger()


class NoRoom(NewsletterError):
    """There is no room on the disk for a list that comes in."""


class Batch(Protocol):
    """How far an import has come."""

    @property
    def counts(self) -> Counter[Any]: ...
    @property
    def refusals(self) -> list[Refusal]: ...


def receive(settings: Settings, *, columns: tuple[str, ...]) -> CsvFile:
    """The list in the request's body, on the disk and looked through, so that a broken one changes nothing.

    Raises BrokenFile, NoRoom and what makes 400, 413 and 415. A length that is declared too large is refused before
    any of it is read.
    """
    if request.mimetype != CSV:
        raise UnsupportedMediaType(f"Send the list as {CSV}.")
    request.max_content_length = settings.import_max_megabytes * MEGABYTE
    file = _spool(settings)
    try:
        return CsvFile(file, columns=columns)
    except BrokenFile:
        file.close()
        raise


def _spool(settings: Settings) -> BinaryIO:
    """The body in a file without a name, which is gone with this process. Not in /tmp, which may be memory."""
    try:
        settings.var_dir.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=settings.var_dir)  # noqa: SIM115 - it outlives this function.
    except OSError as error:
        raise NoRoom("There is no room for this list at the moment; nothing was imported.") from error
    try:
        while block := request.stream.read(_BLOCK):
            file.write(block)
        file.seek(0)
    except BaseException as error:
        file.close()
        raise _told(error, settings) from error
    return cast(BinaryIO, file)


def _told(error: BaseException, settings: Settings) -> BaseException:
    match error:
        case RequestEntityTooLarge():
            most = settings.import_max_megabytes
            return RequestEntityTooLarge(f"A list may have {most:,} MB; send it in parts. {NOTHING_IMPORTED}")
        case ClientDisconnected() | NoMoreData() | ParseException():
            return BadRequest(f"The list ended before all of it had come. {NOTHING_IMPORTED}")
        case OSError():
            return NoRoom("There is no room for this list at the moment; nothing was imported.")
    return error


def report(
    batches: Iterator[Batch], file: CsvFile, *, facts: Mapping[str, object], outcomes: Sequence[str]
) -> Response:
    """Carry an import out while its report streams: a line of JSON for each refused row, and one after each batch.

    Whoever hangs up leaves whole batches: all that a line of `progress` counted is in. The first batch is done before
    the answer begins, so that what is wrong from the start has a status of its own.
    """
    try:
        first = next(batches, None)
    except BaseException:
        file.close()
        raise
    done = chain([first] if first is not None else [], batches)
    response = Response(_lines(done, file, facts, outcomes), mimetype=NDJSON)
    response.call_on_close(file.close)  # Also where nobody asks for the first line.
    return response


def _lines(
    batches: Iterable[Batch], file: CsvFile, facts: Mapping[str, object], outcomes: Sequence[str]
) -> Iterator[str]:
    counts: dict[str, int] = dict.fromkeys(["rows", *outcomes], 0)
    ending = "hung_up"
    try:
        for batch in batches:
            counts = {"rows": batch.counts.total(), **{each: batch.counts[each] for each in outcomes}}
            for refusal in batch.refusals:
                yield _line("refused", refusal._asdict())
            yield _line("progress", counts)
        ending = "done"
        yield _line("done", {**counts, **facts, "ignored_columns": file.unknown})
    except (DBAPIError, NewsletterError) as error:
        ending = "stopped"
        detail = _CUT_SHORT if isinstance(error, DBAPIError) else str(error)
        yield _line("stopped", {**counts, "detail": detail})
    finally:
        file.close()
        log.info("list_imported", ending=ending, **counts, **facts)


def _line(event: str, facts: Mapping[str, object]) -> str:
    return json.dumps({"event": event, **facts}, ensure_ascii=False) + "\n"


def send(texts: Iterator[str], *, name: str) -> Response:
    """A list as a file, as the database hands it out."""
    response = Response(texts, mimetype=CSV)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
