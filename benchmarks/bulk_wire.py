"""Messages a second on the wire: the bulk engine beside `smtplib` and Postfix's `smtp-source`, all into one sink.

Constant mails of 40 KB, so that nothing but carrying them is measured; then a compiled letter, so that making them is.
"""

import smtplib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import generators, machine, sinks, tables
from benchmarks.sinks import Sink
from benchmarks.ways import Speed
from newsletter_svc.mail import slots
from newsletter_svc.mail.bulk import driver
from newsletter_svc.mail.bulk.compiled import CompiledLetter
from newsletter_svc.mail.bulk.driver import Engine, Plan
from newsletter_svc.mail.bulk.parcels import Parcel, RawReply
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import DeliveryError
from newsletter_svc.mail.message import Mailbox, Rendered, Stream
from newsletter_svc.mail.smtp_server import SmtpServer
from newsletter_svc.settings import Settings

MAILS = 20_000
SMTPLIB_MAILS = 2_000
CONNECTIONS = 20
SIZE = 40_000
DISTANT_MAILS = 4_000
DISTANT_CONNECTIONS = 100
ROUND_TRIP_MS = 20
NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)

_LINE = b"The same words in every mail, since only carrying them is what is measured\r\n"
CONTENT = b"Subject: benchmark\r\nMessage-ID: <1@news.example.org>\r\n\r\n" + _LINE * (SIZE // len(_LINE))


class Readers:
    """A feed of so many parcels that only counts."""

    def __init__(self, count: int, make: Callable[[int], Parcel]) -> None:
        self._left = count
        self._make = make
        self.accepted_count = 0

    @property
    def is_exhausted(self) -> bool:
        return self._left == 0

    def take(self) -> Parcel | None:
        if self._left == 0:
            return None
        self._left -= 1
        return self._make(self._left)

    def intent(self, parcel: Parcel) -> None:
        pass

    def accepted(self, parcel: Parcel, reply: RawReply) -> None:
        self.accepted_count += 1

    def refused(self, parcel: Parcel, failure: DeliveryError) -> None:
        raise RuntimeError("the sink refuses nobody")

    def unknown(self, parcel: Parcel, failure: DeliveryError) -> None:
        raise RuntimeError("the sink answers every dot")

    def returned(self, parcel: Parcel, failure: DeliveryError | None) -> None:
        raise RuntimeError("the sink closes no connection")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sinks.sink(folder) as near:
            source = generators.smtp_source(near, MAILS, size=SIZE, connections=CONNECTIONS)
            rows: dict[str, Speed | None] = {
                "smtplib, ready bytes, one connection": _smtplib(near),
                "`smtp-source`": source,
                "engine, ready bytes": _engine(near, _constant),
                "engine, compiled letter": _engine(near, _compiled()),
            }
        with sinks.sink(folder, round_trip_ms=ROUND_TRIP_MS) as far:
            rows[f"engine, {ROUND_TRIP_MS} ms round trips, {DISTANT_CONNECTIONS} connections"] = _engine(
                far, _constant, count=DISTANT_MAILS, connections=DISTANT_CONNECTIONS
            )
    base = source.per_second if source else None
    found = [
        (way, tables.rate(speed.per_second), f"{speed.cpu_micros:,.0f}", tables.ratio(speed.per_second, base))
        for way, speed in rows.items()
        if speed is not None
    ]
    tables.show(f"Mails of {SIZE // 1000} KB into one sink", ["way", "mails/s", "CPU µs", "x `smtp-source`"], found)


def _engine(sink: Sink, make: Callable[[int], Parcel], *, count: int = MAILS, connections: int = CONNECTIONS) -> Speed:
    feed = Readers(count, make)

    async def carry() -> None:
        server = SmtpServer(host="127.0.0.1", port=sink.port, helo="news.example.org")
        await Engine(server, feed, plan=Plan(connections=connections)).run()

    with machine.cost(of_children=False) as cost:
        driver.run(carry)
    assert feed.accepted_count == count
    return Speed.of(count, cost)


def _constant(number: int) -> Parcel:
    return Parcel(number, b"bounces+%x@news.example.org" % number, b"reader%d@example.org" % number, CONTENT)


def _compiled() -> Callable[[int], Parcel]:
    letter = _letter()

    def make(number: int) -> Parcel:
        return letter.parcel(
            number,
            envelope_sender=f"bounces+{number:x}.0123456789abcdef@news.example.org",
            recipient=Mailbox(f"reader{number}@example.org", "Ada Lovelace"),
            message_id=f"<{number:032x}@news.example.org>",
            date=NOW,
            values={"unsubscribe_url": f"https://news.example.org/unsubscribe/{number:086d}"},
        )

    return make


def _letter() -> CompiledLetter:
    composer = Composer(Settings(secret_keys=("a key for a benchmark that signs nothing",)))
    link = slots.place("unsubscribe_url")
    story = '<p style="color: #111; margin: 0 0 16px">Good morning — this is what the day brings.</p>\n' * 300
    rendered = Rendered("The day", "Good morning.\n" * 300 + link, f'<html>{story}<a href="{link}">Leave</a></html>')
    return composer.compile(rendered, stream=Stream.DIGEST, headers=[("List-Unsubscribe", f"<{link}>")])


def _smtplib(sink: Sink) -> Speed:
    with machine.cost(of_children=False) as cost, smtplib.SMTP("127.0.0.1", sink.port) as smtp:
        for number in range(SMTPLIB_MAILS):
            smtp.sendmail("bounces@news.example.org", f"reader{number}@example.org", CONTENT)
    return Speed.of(SMTPLIB_MAILS, cost)


if __name__ == "__main__":
    main()
