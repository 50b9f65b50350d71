"""One line of a mail that holds slots, in quoted-printable: what a value does not change is encoded once.

Quoted-printable cuts a long line from its left, so a value decides where everything to its right is cut, up to the
end of that line and no further. Lines before the first value are known in advance, and for what follows the last
value there are as many possibilities as a line has columns: each is remembered once it was needed.

Values of which no octet is special, such as most links, are cut at places that their lengths alone decide: so a line
is encoded once for these lengths, and then its pieces are put together.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from newsletter_svc.mail import mime

_AHEAD = mime.QP_LINE + 4
"""How much of what follows is needed to decide where a line is cut."""
_MOST_FORMS = 1_000
_STAND_INS = tuple(bytes([octet]) for octet in range(9))
"""Octets that no escaped text holds, one for each value of a line."""
_RUNS = re.compile(b"([\\x00-\\x08]+)")
_LOOK_LIKE_FROM = (b"F", b"Fr", b"Fro", b"From")


class Form(NamedTuple):
    """An encoded line for values of certain lengths: octets with gaps, and the piece of a value that fills each gap."""

    octets: list[bytes]
    gaps: tuple[tuple[int, int, slice], ...]
    """Place in `octets`, number of the value, piece of it."""
    line_starts: tuple[int, ...]
    """Places at which a line begins with a value's octets."""


class SlotLine:
    """`SlotLine(["Leave: ", "unsubscribe_url", ""])`: text and names of slots by turns, beginning and ending with text.

    Gives the same octets as `mime.quoted_printable` does for the filled line.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        texts = [mime.escape(text.encode()) for text in pieces[::2]]
        self._names = tuple(pieces[1::2])
        self._done, self._start = _known_lines(texts[0])
        self._between = texts[1:-1]
        self._rest = mime.safe_end(texts[-1])
        self._next = self._rest[:_AHEAD]
        self._tails: dict[int, bytes] = {}
        self._forms: dict[tuple[int, ...], Form | None] = {}

    def encode_easy(self, values: Mapping[str, bytes]) -> bytes:
        """Return what `encode` does, faster, for values in which nothing was escaped and no blank stands."""
        filled = [values[name] for name in self._names]
        lengths = tuple(map(len, filled))
        try:
            form = self._forms[lengths]
        except KeyError:
            form = self._remember(lengths)
        if form is None:
            return self.encode(values)
        octets = form.octets.copy()
        for place, number, piece in form.gaps:
            octets[place] = filled[number][piece]
        for place in form.line_starts:
            if octets[place].startswith((b".", b"F")):  # It may have to be escaped there.
                return self.encode(values)
        return b"".join(octets)

    def encode(self, values: Mapping[str, bytes]) -> bytes:
        """Return the line filled with values, which are escaped and hold no line break."""
        rest = self._fill(values)
        following = len(self._next)
        if not following:
            rest = mime.safe_end(rest)
        written = [self._done]
        while True:
            rest = mime.safe_start(rest)
            if len(rest) <= mime.QP_LINE:
                written += (rest, b"\r\n")
                break
            line, rest = mime.soft_break(rest)
            written.append(line)
            if len(rest) <= following:
                written.append(self._tail(following - len(rest)))
                break
        return b"".join(written)

    def _fill(self, values: Mapping[str, bytes]) -> bytes:
        if not self._between:
            return self._start + values[self._names[0]] + self._next
        filled = [self._start]
        for name, text in zip(self._names, [*self._between, self._next], strict=True):
            filled += (values[name], text)
        return b"".join(filled)

    def _remember(self, lengths: tuple[int, ...]) -> Form | None:
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        form = self._forms[lengths] = self._form(lengths)
        return form

    def _form(self, lengths: tuple[int, ...]) -> Form | None:
        """How values of these lengths lie in the encoded line; None where that depends on more than lengths."""
        if len(lengths) > len(_STAND_INS) or len(set(self._names)) < len(lengths) or not all(lengths):
            return None
        stand_ins = {name: _STAND_INS[number] for number, name in enumerate(self._names)}
        encoded = self.encode(
            {name: stand_ins[name] * length for name, length in zip(self._names, lengths, strict=True)}
        )
        octets = _RUNS.split(encoded)
        gaps: list[tuple[int, int, slice]] = []
        begun = [0] * len(lengths)
        for place, run in enumerate(octets[1::2]):
            number, is_mixed = run[0], run.count(run[:1]) < len(run)
            before = octets[2 * place].rpartition(b"\n")[2]
            if is_mixed or before in _LOOK_LIKE_FROM:
                return None  # Rare, and not worth the care.
            gaps.append((2 * place + 1, number, slice(begun[number], begun[number] + len(run))))
            begun[number] += len(run)
        starts = tuple(place for place, *_ in gaps if octets[place - 1][-1:] in (b"", b"\n"))
        return Form(octets, tuple(gaps), starts)

    def _tail(self, start: int) -> bytes:
        tail = self._tails.get(start)
        if tail is None:
            tail = self._tails[start] = mime.cut(self._rest[start:])
        return tail


def _known_lines(text: bytes) -> tuple[bytes, bytes]:
    """Return the lines that are whole before the first value, and the beginning of the line that it stands in."""
    written: list[bytes] = []
    while len(text) > mime.QP_LINE:
        line, text = mime.soft_break(mime.safe_start(text))
        written.append(line)
    return b"".join(written), text
