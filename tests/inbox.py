"""Reading what the service has sent, as a mail program would."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from urllib.parse import urlsplit

from newsletter_svc.parts import Parts


@dataclass(frozen=True)
class Received:
    """One mail, with its raw bytes and the parts that a reader sees."""

    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def link(self) -> str:
        """The path of the link that stands alone on its line, such as `/magic-link/...`."""
        found = re.search(r"^https?://\S+/magic-link/\S+$", self.text, re.MULTILINE)
        assert found is not None, "the mail has no magic link on a line of its own"
        return urlsplit(found.group()).path

    @property
    def code(self) -> str:
        found = re.search(r"^\s*(\d{6})\s*$", self.text, re.MULTILINE)
        assert found is not None, "the mail has no code on a line of its own"
        return found.group(1)

    def _part(self, subtype: str) -> str:
        part = self.message.get_body((subtype,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


class Inbox:
    """All mails of the service's local mailbox."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def all(self) -> list[Received]:
        """Everything sent so far, oldest first, after what is due was sent."""
        while self._parts.sender.run_round().handled or self._parts.bulk.send_due().handled:
            pass
        directory = self._parts.settings.mailbox_dir
        assert directory is not None
        return [Received(path.read_bytes()) for path in sorted(directory.glob("*.eml"))]

    def newest(self) -> Received:
        mails = self.all()
        assert mails, "no mail was sent"
        return mails[-1]
