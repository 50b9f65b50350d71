"""Machines that `newsletter` commands run on: all share one database and one mail server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

from newsletter_svc.settings import Settings
from tests.conftest import KEY
from tests.fakes.smtp_thread import MailServer
from tests.faults.processes import Running, command


@dataclass
class Host:
    """A machine that `newsletter` commands run on: all share the database, each has a `var` of its own."""

    settings: Settings
    server: MailServer
    var: Path
    environ: dict[str, str] = field(default_factory=dict)
    fast_by: timedelta = timedelta()
    """By how much its clock is ahead."""
    _numbers: Iterator[int] = field(default_factory=count)

    def run(self, *arguments: str, **environ: str) -> AbstractContextManager[Running]:
        """The command as a process for the length of a `with` block."""
        log = self.var / f"command-{next(self._numbers)}.log"
        return command(*arguments, environ=self.all_environ | environ, log=log, fast_by=self.fast_by)

    def call(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Run the command to its end; return the exit code and what it said."""
        with self.run(*arguments, **environ) as running:
            return running.ended(), running.said()

    @property
    def all_environ(self) -> dict[str, str]:
        """What its commands are told."""
        return {
            "NEWSLETTER_VAR_DIR": str(self.var),
            "DATABASE_URL": self.settings.database_url,
            "SECRET_KEYS": KEY,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(self.server.port),
            "MAIL_PROCESSES": "2",
            "MAIL_TIMEOUT": str(self.settings.mail_timeout),
            "DELIVERY_LEASE_SECONDS": str(self.settings.delivery_lease_seconds),
            "UNKNOWN_RESEND_SECONDS": str(self.settings.unknown_resend_seconds),
            **self.environ,
        }


MakeHost = Callable[[str], Host]
