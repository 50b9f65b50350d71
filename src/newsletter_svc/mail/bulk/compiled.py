"""A letter compiled once for all its readers: finished octets with holes, filled for each of them.

The octets come from the same `build` that makes single mails: it is given words that nobody can guess in place of
what differs, and its result is cut at these words. So there is one place only that knows how a mail is made.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from newsletter_svc.mail import dkim, mime, slots
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.bulk import holes
from newsletter_svc.mail.bulk.holes import Hole, Reader
from newsletter_svc.mail.bulk.parcels import Parcel, pack_plain
from newsletter_svc.mail.message import Mailbox, Rendered

_ANY_DATE = datetime(2000, 1, 1, tzinfo=UTC)


class Build(Protocol):
    """`mime.build`, with what all mails of a stream share already given."""

    def __call__(
        self,
        rendered: Rendered,
        /,
        *,
        recipient: Mailbox,
        message_id: str,
        date: datetime,
        extra: Iterable[tuple[str, str]],
    ) -> bytes: ...


class CompiledLetter:
    """`rendered` and the values of `extra` hold slots (`slots.place`); everything else is the same for all readers."""

    def __init__(self, rendered: Rendered, *, extra: Iterable[tuple[str, str]], build: Build) -> None:
        self._rendered = rendered
        self._extra = tuple(extra)
        self._build = build
        self._names = _slots_in(rendered, self._extra)
        # A part does not end with an empty line: one that is only a slot may vanish with its value.
        self._may_end_empty = any(_ends_in_slots_alone(part) for part in (rendered.text, rendered.html))
        self._segments, self._holes = _Compiling(rendered, self._extra, build).result()
        self._relaxed = _relaxed_segments(self._segments)
        places = (place for _, places in self._holes for place in places)
        self._places_in_body = tuple(place for place in places if self._relaxed[place])

    def parcel(
        self,
        key: int,
        *,
        envelope_sender: str,
        recipient: Mailbox,
        message_id: str,
        date: datetime,
        values: Mapping[str, str],
    ) -> Parcel:
        """Return one reader's mail, ready for the wire. Raises what `join` raises."""
        content = self.join(recipient=recipient, message_id=message_id, date=date, values=values)
        sender = wire_address(envelope_sender).encode("ascii")
        return pack_plain(key, sender=sender, recipient=recipient.email, content=content)

    def join(self, *, recipient: Mailbox, message_id: str, date: datetime, values: Mapping[str, str]) -> bytes:
        """Return what `mime.build` makes of the filled letter, octet for octet.

        Raises `UnsendableMessage` for this reader alone, and `slots.LostSlot` for a value that is missing.
        """
        self._check(values)
        if not self._is_simple(values):
            return self._build_singly(recipient, message_id=message_id, date=date, values=values)
        return b"".join(self._fill(holes.reader(recipient, message_id=message_id, date=date, values=values)))

    def join_and_hash(
        self, *, recipient: Mailbox, message_id: str, date: datetime, values: Mapping[str, str]
    ) -> tuple[bytes, bytes]:
        """Return what `join` does, and the SHA-256 of its body as DKIM wants it hashed."""
        self._check(values)
        if not self._is_simple(values):
            content = self._build_singly(recipient, message_id=message_id, date=date, values=values)
            return content, hashlib.sha256(dkim.relaxed_body(content.partition(b"\r\n\r\n")[2])).digest()
        segments = self._fill(holes.reader(recipient, message_id=message_id, date=date, values=values))
        relaxed = self._relaxed.copy()
        for place in self._places_in_body:
            relaxed[place] = dkim.relaxed_lines(segments[place])
        # `relaxed_body` would look through all of it again, in vain: it ends with the last boundary.
        return b"".join(segments), hashlib.sha256(b"".join(relaxed)).digest()

    def _check(self, values: Mapping[str, str]) -> None:
        if not self._names <= values.keys():
            raise slots.LostSlot(min(self._names - values.keys()))

    def _fill(self, reader: Reader) -> list[bytes]:
        segments = self._segments.copy()
        for hole, places in self._holes:
            filled = hole(reader)
            for place in places:
                segments[place] = filled
        return segments

    def _is_simple(self, values: Mapping[str, str]) -> bool:
        """Whether the values change nothing but the line they stand in. Line breaks and controls do; they are rare."""
        return all(map(str.isprintable, values.values())) and (not self._may_end_empty or all(values.values()))

    def _build_singly(self, recipient: Mailbox, *, message_id: str, date: datetime, values: Mapping[str, str]) -> bytes:
        extra = [(name, slots.fill_text(value, values)) for name, value in self._extra]
        rendered = slots.fill(self._rendered, values)
        return self._build(rendered, recipient=recipient, message_id=message_id, date=date, extra=extra)


class _Compiling:
    """Builds the mail with words for what differs, and cuts it at these words."""

    def __init__(self, rendered: Rendered, extra: tuple[tuple[str, str], ...], build: Build) -> None:
        self._holes: dict[bytes, Hole] = {}
        to, message_id = f"{_word()}@example.org", f"<{_word()}@example.org>"
        content = build(
            Rendered(
                rendered.subject,
                self._with_words(rendered.text, holes.text_line),
                self._with_words(rendered.html, holes.html_line),
            ),
            recipient=Mailbox(to),
            message_id=message_id,
            date=_ANY_DATE,
            extra=[(name, self._header(name, value)) for name, value in extra],
        )
        # Any article may speak of this date, so it is looked for where it stands first: in the headers.
        date = _word().encode("ascii")
        date_line = b"\r\n" + mime.date_line(_ANY_DATE).encode("ascii") + b"\r\n"
        self._content = content.replace(date_line, b"\r\n" + date, 1)
        self._holes[date] = holes.DateLine()
        self._holes[f"To: {to}\r\n".encode("ascii")] = holes.to_line
        self._holes[message_id.encode("ascii")] = holes.message_id
        self._holes[mime.boundary_for(message_id).encode("ascii")] = holes.boundary

    def result(self) -> tuple[list[bytes], list[tuple[Hole, tuple[int, ...]]]]:
        """Return the octets in segments, and which of them each hole fills."""
        anywhere = b"|".join(map(re.escape, self._holes))
        segments = re.split(b"(" + anywhere + b")", self._content)
        places = range(1, len(segments), 2)
        found = [
            (hole, tuple(place for place in places if segments[place] == word)) for word, hole in self._holes.items()
        ]
        return segments, found

    def _with_words(self, part: str, hole: Callable[[str], Hole]) -> str:
        return "\n".join(self._line(line, hole) for line in mime.plain_lines(part).split("\n"))

    def _line(self, line: str, hole: Callable[[str], Hole]) -> str:
        if len(slots.split(line)) == 1:
            return line
        word = _word()
        self._holes[word.encode("ascii") + b"\r\n"] = hole(line)
        return word

    def _header(self, name: str, value: str) -> str:
        if len(slots.split(value)) == 1:
            return value
        word = _word()
        self._holes[f"{name}: {word}\r\n".encode("ascii")] = holes.header_line(name, value)
        return word


def _relaxed_segments(segments: list[bytes]) -> list[bytes]:
    """Return what DKIM hashes of each segment: nothing of the headers. No blank stands at the border of a segment."""
    relaxed = [b""] * len(segments)
    is_body = False
    for place, segment in enumerate(segments):
        if is_body:
            relaxed[place] = dkim.relaxed_lines(segment)
        elif b"\r\n\r\n" in segment:
            is_body = True
            relaxed[place] = dkim.relaxed_lines(segment.partition(b"\r\n\r\n")[2])
    return relaxed


def _slots_in(rendered: Rendered, extra: Iterable[tuple[str, str]]) -> frozenset[str]:
    texts = [rendered.text, rendered.html, *(value for _, value in extra)]
    return frozenset(slot for text in texts for slot in slots.split(text)[1::2])


def _ends_in_slots_alone(part: str) -> bool:
    pieces = slots.split(mime.plain_lines(part).rpartition("\n")[2])
    return len(pieces) > 1 and not any(pieces[::2])


def _word() -> str:
    """Return a word that stands in no mail; short enough to stay whole on its line."""
    return f"hole{secrets.token_hex(16)}"
