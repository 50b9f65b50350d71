"""From the bytes that a server sends to whole replies (RFC 5321 4.2), however the bytes were cut."""

from newsletter_svc.mail.bulk.parcels import RawReply

_LONGEST_LINE = 2_048
"""RFC 5321 4.5.3.1.5 allows 512 octets; real servers write more."""
_LONGEST_REPLY = 16_384
_SHORT_LINE = 512
_CODES = {b"%d" % code: code for code in range(200, 600)}
_BROKEN = RawReply(0, b"")


class ReplyReader:
    """Collects lines until a reply is whole. After the first line that is none, nothing more is read."""

    def __init__(self) -> None:
        self._rest = b""
        self._earlier: list[bytes] = []
        self._earlier_code = b""
        self._earlier_size = 0
        self._is_broken = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come that is not yet a whole reply."""
        return not self._rest and not self._earlier

    def feed(self, data: bytes) -> list[RawReply]:
        """Return the replies that are whole now; the last one has code 0 where the server stopped making sense."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        found: list[RawReply] = []
        for line in lines:
            code = _CODES.get(line[:3])
            # By far the most replies are one short line and whole; they need no more looking at.
            if code and line[3:4] == b" " and line[-1:] == b"\r" and len(line) <= _SHORT_LINE and self._is_between:
                found.append(RawReply(code, line[4:-1]))
            else:
                self._take_line(line[:-1] if line.endswith(b"\r") else line, found)
        if len(self._rest) > _LONGEST_LINE:
            self._break(found)
        return found

    @property
    def _is_between(self) -> bool:
        return not (self._earlier or self._is_broken)

    def _take_line(self, line: bytes, found: list[RawReply]) -> None:
        code = _CODES.get(line[:3])
        mark = line[3:4]
        if code is None or len(line) > _LONGEST_LINE or self._is_broken:
            self._break(found)
        elif self._earlier or mark == b"-":
            self._take_line_of_many(code, line, found)
        elif mark in b" ":  # No mark at all is fine: "250" alone is a reply.
            found.append(RawReply(code, line[4:]))
        else:
            self._break(found)

    def _take_line_of_many(self, code: int, line: bytes, found: list[RawReply]) -> None:
        mark = line[3:4]
        self._earlier_size += len(line)
        # RFC 5321 4.2.1: all lines of a reply repeat its code.
        if mark not in b" -" or self._earlier_code not in (b"", line[:3]) or self._earlier_size > _LONGEST_REPLY:
            self._break(found)
            return
        self._earlier.append(line[4:])
        self._earlier_code = line[:3]
        if mark != b"-":
            found.append(RawReply(code, b"\n".join(self._earlier)))
            self._earlier, self._earlier_code, self._earlier_size = [], b"", 0

    def _break(self, found: list[RawReply]) -> None:
        self._rest = b""
        if not self._is_broken:
            found.append(_BROKEN)
        self._is_broken = True
