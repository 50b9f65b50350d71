"""One line of a mail that holds slots, in quoted-printable: what a value does not change is encoded once.

Quoted-printable cuts a long line from its left, so a value decides where everything to its right is cut, up to the
end of that line and no further. Lines before the first value are known in advance, and for what follows the last
value there are as many possibilities as a line has columns: each is remembered once it was needed.
"""

from collections.abc import Mapping, Sequence

from newsletter_svc.mail import mime

_AHEAD = mime.QP_LINE + 4
"""How much of what follows is needed to decide where a line is cut."""


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
