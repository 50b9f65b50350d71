"""How public collections of bounces are read: `python -m benchmarks.bounce_corpora FOLDER`, which fetches them there.

They are those with which two other programs test themselves. Nothing of them is kept in this tree.
"""

import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.delivery.returned import Finding, finding
from newsletter_svc.mail import reports

FLUFL = "flufl.bounce==6.0.0"
PARSER = "libmail-deliverystatus-bounceparser-perl=1.543+repacked-1"
NO_MAILBOX = re.compile(
    r"(?<!host-)unknown|doesnotexist|nomailbox|rcpt-dne|deactivated|badrcptto|user-unknown", re.IGNORECASE
)
NO_BOUNCE = re.compile(r"(?<!non-)autoreply|vacation|boxbe|bluebottle|whitelist")
NAMES_IN_WORDS = re.compile(rb"(?i)(user|mailbox|recipient|address|account) (is )?(unknown|not found|does not exist)")
SUFFIXES = (".msg", ".txt", ".eml")


class Message(NamedTuple):
    """One message of a collection, and what it is said to be there."""

    raw: bytes
    label: str


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, messages in (("BounceParser 1.543", _parser(folder)), ("flufl.bounce 6.0.0", _flufl(folder))):
        counts = Counter((message.label, _read(message.raw)) for message in messages)
        for label in sorted({label for label, _ in counts}):
            found = {what: count for (each, what), count in sorted(counts.items()) if each == label}
            told = ", ".join(f"{count} {what}" for what, count in found.items())
            print(f"{name}: {label}, {sum(found.values())}: {told}")


def _read(raw: bytes) -> str:
    """What would come of it if it named a delivery of ours to whom it speaks of."""
    report = reports.read(raw)
    named = sorted(address for block in report.blocks for address in block.recipients)
    found = finding(report, named[0] if named else "") if report.form not in _NEVER else None
    if not isinstance(found, Finding):
        return "changes nothing"
    if found.kind is BounceKind.HARD and found.status == "5.1.2":
        return "hard at the second"
    return str(found.kind)


_NEVER = (reports.Form.AUTOMATIC_REPLY, reports.Form.OTHER)


def _parser(folder: Path) -> Iterator[Message]:
    """Of the Debian source package; its files are named for what they are."""
    if not (archive := next(folder.glob("libmail-*.orig.tar.xz"), None)):
        # Only the archive is wanted: what Debian adds to it may be missing at a mirror.
        subprocess.run(["apt-get", "source", "--download-only", PARSER], cwd=folder, check=False)
        archive = next(folder.glob("libmail-*.orig.tar.xz"))
    for name, raw in _files(archive, "/t/corpus/"):
        no_mailbox = "no such mailbox" if NO_MAILBOX.search(name) else "other bounce"
        yield Message(raw, "no bounce" if NO_BOUNCE.search(name) else no_mailbox)


def _flufl(folder: Path) -> Iterator[Message]:
    """Of the archive on PyPI; its files are named for who wrote them."""
    if not (archive := next(folder.glob("flufl*.tar.gz"), None)):
        options = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *options, FLUFL], check=True)
        archive = next(folder.glob("flufl*.tar.gz"))
    for _, raw in _files(archive, "/data/"):
        yield Message(raw, "no such mailbox, in words" if NAMES_IN_WORDS.search(raw) else "other message")


def _files(archive: Path, place: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as packed:
        for member in packed:
            if place in member.name and member.name.endswith(SUFFIXES):
                opened = packed.extractfile(member)
                assert opened is not None
                yield Path(member.name).name, opened.read()


if __name__ == "__main__":
    main()
