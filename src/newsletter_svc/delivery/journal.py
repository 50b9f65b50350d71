"""The journal: what a sender did with its claim and has not yet marked. It survives `kill -9`.

One append-only file for each claim. An *intent* is written right before the final dot goes out, a *result* right after
the reply. Afterwards an intent without a result means "unknown", a result is what happened, and neither means that the
message never left. The file goes when the marks are committed. A `write` survives the process; power loss it does not.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

_MAILING = struct.Struct("<cQ")
_INTENT = struct.Struct("<cQ")
_RESULT = struct.Struct("<cQH")
_REPLY_LIMIT = 1_000
_SUFFIX = ".journal"


class Ended(Enum):
    """How an attempt ended; the values are the letters in the file."""

    ACCEPTED = b"A"
    REFUSED = b"R"
    UNANSWERED = b"U"
    NOT_TAKEN = b"N"
    """The server took nothing and said nothing about this reader: as if it had not been tried."""


@dataclass(frozen=True)
class Record:
    """What one claim's journal says of one delivery; `ended` is None where no result was written."""

    ended: Ended | None
    reply: str = ""


@dataclass(frozen=True)
class Left:
    """A journal that its sender left behind: the claim's name, and what it says of each delivery that it names."""

    worker: str
    path: Path
    mailing_id: int | None = None
    records: dict[int, Record] = field(default_factory=dict)


class Journal:
    """One claim's journal, open and locked for as long as its sender lives.

    It begins with the claim's mailing, so that whoever recovers it need not look for its rows among a million.
    """

    def __init__(self, directory: Path, worker: str, *, mailing_id: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{worker}{_SUFFIX}"
        self._file = _make(self._path)
        try:
            self._write(_MAILING.pack(b"M", mailing_id or 0))
        except BaseException:
            self.close(done=True)
            raise

    def intent(self, delivery_id: int) -> None:
        """The final dot goes out now. Raises OSError, and then it must not (a full disk)."""
        self._write(_INTENT.pack(b"I", delivery_id))

    def result(self, delivery_id: int, ended: Ended, reply: bytes = b"") -> None:
        """The reply has come, or will not come any more."""
        text = reply[:_REPLY_LIMIT]
        self._write(_RESULT.pack(ended.value, delivery_id, len(text)) + text)

    def close(self, *, done: bool) -> None:
        """Let go of it: `done` when every mark is committed, else it stays for whoever recovers it."""
        if done:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self, record: bytes) -> None:
        written = os.write(self._file, record)
        if written < len(record):
            # A disk that has just become full takes the beginning, and nothing could be read that is written behind it.
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(done=kind is None)


def _make(path: Path) -> int:
    """Make the file and lock it. In between, recovery may take it for that of a dead sender and remove it."""
    while True:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return file
        os.close(file)


def left_behind(directory: Path) -> Iterator[Left]:
    """Journals whose senders are dead. Each is locked while it is looked at, so two recoveries never share one."""
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between listing and locking it may have been recovered by somebody else.
            if path.exists():
                yield _read(path)
        except BlockingIOError:
            continue  # Its sender lives.
        finally:
            os.close(file)


def present(directory: Path) -> list[str]:
    """The claims whose journals lie here, of the living and of the dead: only their journals may settle them."""
    return [path.name.removesuffix(_SUFFIX) for path in directory.glob(f"*{_SUFFIX}")]


def _read(path: Path) -> Left:
    content = path.read_bytes()
    # A sender may be killed before it wrote anything; then it has claimed nothing either.
    mailing_id = _MAILING.unpack_from(content)[1] if len(content) >= _MAILING.size else 0
    records = dict(_records(content, at=_MAILING.size))
    return Left(path.name.removesuffix(_SUFFIX), path, mailing_id or None, records)


def _records(content: bytes, *, at: int) -> Iterator[tuple[int, Record]]:
    """Every record in turn; one that the kill cut short ends the file."""
    while at + _INTENT.size <= len(content):
        letter, delivery_id = _INTENT.unpack_from(content, at)
        if letter == b"I":
            at += _INTENT.size
            yield delivery_id, Record(None)
            continue
        if at + _RESULT.size > len(content):
            return
        *_, length = _RESULT.unpack_from(content, at)
        at += _RESULT.size + length
        if at > len(content):
            return
        yield delivery_id, Record(Ended(letter), content[at - length : at].decode(errors="replace"))
