"""The local mailbox of development: each mail becomes a file that the demo page shows."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from newsletter_svc.clock import utcnow
from newsletter_svc.mail.failures import ServerUnavailable, Stage
from newsletter_svc.mail.message import OutgoingMessage, nothing


class MailboxTransport:
    """Mail into a folder. Names sort by time: `20261124T053748123456Z-9f0c2a71.eml`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def connect(self) -> Iterator[Self]:
        """Make the folder if there is none. It holds sign-in links, so nobody else on the machine may read it."""
        with _failing():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield self

    def send(self, message: OutgoingMessage, *, before_dot: Callable[[], None] = nothing) -> str:
        """Keep the mail and say so in the manner of a mail server."""
        name = f"{utcnow():%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(4)}.eml"
        draft = self._directory / f".{name}.part"
        with _failing():
            draft.touch(mode=0o600, exist_ok=False)
            draft.write_bytes(message.content)
            before_dot()
            # Whoever looks into the folder sees whole mails only.
            draft.rename(self._directory / name)
        return f"250 2.0.0 kept as {name}"


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServerUnavailable(Stage.CONNECT, cause=type(error).__name__) from error
