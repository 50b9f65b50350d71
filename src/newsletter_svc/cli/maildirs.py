"""Maildirs: which messages nobody has seen yet, and marking them as seen."""

from collections.abc import Iterator
from pathlib import Path

import click

SEEN = "S"
_INFO = ":2,"


def unseen(folder: Path) -> Iterator[Path]:
    """The files of messages without the flag "seen", oldest first. Raises click.UsageError if this is no Maildir."""
    new, current = folder / "new", folder / "cur"
    if not new.is_dir() or not current.is_dir():
        raise click.UsageError(f"{folder} is no Maildir: it has no folders `new` and `cur`.")
    found = [path for path in (*new.iterdir(), *current.iterdir()) if path.is_file() and not path.name.startswith(".")]
    # The name begins with the second in which the message was delivered.
    yield from sorted((path for path in found if SEEN not in _flags(path)), key=lambda path: path.name)


def mark_seen(message: Path) -> None:
    """Move the message to where seen ones are, with its other flags. If somebody else did already, that is well."""
    flags = "".join(sorted({*_flags(message), SEEN}))
    target = message.parent.parent / "cur" / f"{message.name.partition(_INFO)[0]}{_INFO}{flags}"
    try:
        message.rename(target)
    except FileNotFoundError:
        return


def _flags(message: Path) -> str:
    return message.name.partition(_INFO)[2]
