"""What a compiled letter leaves open, and what each reader's mail has in these places."""

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from newsletter_svc.mail import headers, mime, slots
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.bulk.slot_lines import SlotLine
from newsletter_svc.mail.message import Mailbox

_LINE = 76
_LONGEST_LINE = 998
_EASY_NAME = re.compile(r"[A-Za-z0-9'-]+(?: [A-Za-z0-9'-]+)*")
_LONGEST_EASY_NAME = 60
# Without a blank, and without whatever quoted-printable or HTML escapes.
_EASY = re.compile(r"[!#-%(-;?-~]*")


class Reader(NamedTuple):
    """What is put into the holes of one mail; the values of the slots also as they stand in the two parts."""

    recipient: Mailbox
    address: str
    message_id: str
    date: datetime
    values: Mapping[str, str]
    are_easy: bool
    """Whether all values stand in both parts as they are."""
    text_values: Mapping[str, bytes]
    html_values: Mapping[str, bytes]


Hole = Callable[[Reader], bytes]


def reader(recipient: Mailbox, *, message_id: str, date: datetime, values: Mapping[str, str]) -> Reader:
    """Return the reader with each value escaped once for each part."""
    address = wire_address(recipient.email)
    checked_id = mime.checked_id(message_id)
    if all(map(_EASY.fullmatch, values.values())):
        as_they_are = {slot: value.encode("ascii") for slot, value in values.items()}
        return Reader(recipient, address, checked_id, date, values, True, as_they_are, as_they_are)
    as_text = {slot: mime.escape(value.encode()) for slot, value in values.items()}
    as_html = {slot: mime.escape(html.escape(value).encode()) for slot, value in values.items()}
    return Reader(recipient, address, checked_id, date, values, False, as_text, as_html)


def to_line(reader: Reader) -> bytes:
    """The header To, as `headers.address_line` writes it; by far the most names need nothing of its care."""
    name = reader.recipient.name
    if not name:
        return f"To: {reader.address}\r\n".encode("ascii")
    if len(name) <= _LONGEST_EASY_NAME and _EASY_NAME.fullmatch(name):
        line = f"To: {name} <{reader.address}>"
        if len(line) <= _LINE:
            return f"{line}\r\n".encode("ascii")
    return headers.address_line("To", reader.recipient).encode("ascii") + b"\r\n"


def message_id(reader: Reader) -> bytes:
    return reader.message_id.encode("ascii")


def boundary(reader: Reader) -> bytes:
    return mime.boundary_for(reader.message_id).encode("ascii")


class DateLine:
    """The header Date. A batch has one date, so the last one is remembered."""

    def __init__(self) -> None:
        self._latest = (datetime(1970, 1, 1, tzinfo=UTC), b"")

    def __call__(self, reader: Reader) -> bytes:
        date, line = self._latest
        # The same moment in another zone is written in another way.
        if reader.date is not date:
            line = mime.date_line(reader.date).encode("ascii") + b"\r\n"
            self._latest = (reader.date, line)
        return line


def header_line(name: str, value: str) -> Hole:
    """A header whose value holds slots, as `headers.token_line` writes it."""
    before, slot, *others = slots.split(value)
    after = others[0]
    is_easy = len(others) == 1 and " " not in before + after

    def line(reader: Reader) -> bytes:
        filled = reader.values.get(slot)
        if is_easy and filled and filled.isascii() and " " not in filled:
            short = f"{name}: {before}{filled}{after}"
            if "=?" not in short and len(short) <= _LONGEST_LINE:
                return f"{short}\r\n".encode("ascii")
        return headers.token_line(name, slots.fill_text(value, reader.values)).encode("ascii") + b"\r\n"

    return line


def text_line(line: str) -> Hole:
    """A line of the text part that holds slots."""
    found = SlotLine(slots.split(line))
    easily, carefully = found.encode_easy, found.encode
    return lambda reader: (easily if reader.are_easy else carefully)(reader.text_values)


def html_line(line: str) -> Hole:
    """A line of the HTML part that holds slots."""
    found = SlotLine(slots.split(line))
    easily, carefully = found.encode_easy, found.encode
    return lambda reader: (easily if reader.are_easy else carefully)(reader.html_values)
