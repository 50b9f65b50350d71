"""What the tests of faults share: a mail server that misbehaves, a digest that is owed, and processes that send it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import insert

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import editions, runs
from newsletter_svc.digests.calendar import Schedule
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.runs import Run
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.subscribers.models import Subscriber, Subscription, SubscriptionStatus
from newsletter_svc.web.state import EXTENSION
from tests.conftest import KEY
from tests.factories import make_articles
from tests.fakes.smtp_thread import MailServer
from tests.faults.processes import Running, command


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    """Mail goes to the server; silence is short, and so is what a dead sender holds."""
    return replace(
        settings,
        mail_server="127.0.0.1",
        mail_port=server.port,
        mail_timeout=2,
        delivery_lease_seconds=2,
        unknown_resend_seconds=1,
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[Parts]:
    found: Parts = create_app(settings).extensions[EXTENSION]
    yield found
    found.database.dispose()


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
            "MAIL_TIMEOUT": str(self.settings.mail_timeout),
            "DELIVERY_LEASE_SECONDS": str(self.settings.delivery_lease_seconds),
            "UNKNOWN_RESEND_SECONDS": str(self.settings.unknown_resend_seconds),
            **self.environ,
        }


MakeHost = Callable[[str], Host]


@pytest.fixture
def make_host(settings: Settings, server: MailServer, tmp_path: Path) -> MakeHost:
    def make(name: str) -> Host:
        var = tmp_path / name
        var.mkdir()
        return Host(settings, server, var)

    return make


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host("host")


def addresses(number: int) -> list[str]:
    return [f"reader{each:04}@example.org" for each in range(number)]


def add_readers(parts: Parts, number: int) -> None:
    """Confirmed readers of the default newsletter, `reader0000@example.org` and so on."""
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        common = {"created_at": now, "confirmed_at": now}
        people = [{"email": each, "email_key": each, "name": "Ada", **common} for each in addresses(number)]
        ids = session.scalars(insert(Subscriber).returning(Subscriber.id), people).all()
        confirmed = {"newsletter_id": newsletter_id, "status": SubscriptionStatus.CONFIRMED, "confirmed_at": now}
        session.execute(insert(Subscription), [{"subscriber_id": each, "created_at": now, **confirmed} for each in ids])


def owe_issue(parts: Parts, title: str = "The quiet budget") -> Run:
    """Make an issue of one article, owed to every reader from now on."""
    with parts.database.transaction() as session:
        make_articles(session, title, now=utcnow())
    return send_now(parts)


def send_now(parts: Parts) -> Run:
    """Make an issue of everything new, if there is anything."""
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        press = Press(parts.composer, parts.message_domain, parts.links)
        return runs.send_now(session, newsletter, tz="Europe/London", press=press, now=utcnow())


def schedule_since(parts: Parts, days: int) -> None:
    """A daily schedule that was set so many days ago, and an article for each day since."""
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        editions.set_schedule(session, newsletter_id, Schedule(time(7), "UTC"), now=now - timedelta(days=days))
        for day in range(days, 0, -1):
            make_articles(session, f"{day} days ago", now=now - timedelta(days=day))
