"""What a check says: a finding, and the DNS record that would mend it."""

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_STRING = 255  # RFC 1035 3.3


class Verdict(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    """It works, and something should still be done about it."""
    FAILURE = "failure"
    """Mail will be refused or land in spam folders, readers are at risk, or this could not be found out."""
    UNCHECKED = "unchecked"
    """There is nothing to look at, as in development."""


class Topic(StrEnum):
    """What is looked at, in the order in which it is shown."""

    SETTINGS = "Settings"
    SERVER = "Mail server"
    MAILBOX = "Bounce mailbox"
    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    MX = "MX"
    PTR = "PTR"


@dataclass(frozen=True)
class Record:
    """A DNS record as it should be: `Record("_dmarc.example.org", "TXT", "v=DMARC1; p=none")`."""

    name: str
    type: str
    value: str

    @property
    def line(self) -> str:
        """The record as a line of a zone file; long texts stand in strings of 255 octets."""
        value = _quoted(self.value) if self.type == "TXT" else self.value
        return f"{self.name}. 3600 IN {self.type} {value}"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `subject` is the domain, address or setting; `record` is what to publish."""

    verdict: Verdict
    topic: Topic
    subject: str
    text: str
    record: Record | None = None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    pieces = [escaped[start : start + _LONGEST_STRING] for start in range(0, len(escaped), _LONGEST_STRING)]
    return " ".join(f'"{piece}"' for piece in pieces)
