"""A running service with its mail server, in which the tests of a module live one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web.state import EXTENSION
from tests.conftest import KEY
from tests.e2e.service import Service, free_port, running, wait_until
from tests.fakes.smtp import Sink

WITHOUT_LIMITS = dict.fromkeys(("LIMIT_PER_ADDRESS", "LIMIT_PER_IP", "LIMIT_GLOBAL"), "1000000/hour")


@dataclass(frozen=True)
class House:
    """To start a service takes longer than most of what is tested by it."""

    service: Service
    sink: Sink
    parts: Parts
    """Those of the service, in this process and without a sender: for looking into the database and changing it."""

    def clear(self) -> None:
        """Leave the service as if it had just been installed, with nobody in it and no mail on its way."""
        wait_until(lambda: not self._busy(), "no mail is on its way")
        with self.parts.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
            newsletters.ensure_default(session, words=self.parts.words, now=utcnow())
        self.sink.received.clear()

    def _busy(self) -> int:
        on_its_way = Delivery.status.in_([Status.PENDING, Status.CLAIMED])
        with self.parts.database.reading() as session:
            return session.scalars(select(func.count()).where(on_its_way)).one()


@contextmanager
def opened(database_url: str, folder: Path, **environ: str) -> Iterator[House]:
    """The service as `running` starts it, with this database and, unless told otherwise, without limits."""
    port = free_port()
    with Sink() as sink, inside(database_url, port, folder) as parts:
        environ = {
            "DATABASE_URL": database_url,
            "SECRET_KEYS": KEY,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(sink.port),
            **WITHOUT_LIMITS,
            **environ,
        }
        with running(folder, port, **environ) as service:
            yield House(service, sink, parts)


@contextmanager
def inside(database_url: str, port: int, folder: Path) -> Iterator[Parts]:
    """The parts of the service at this port, in this process."""
    settings = Settings(
        secret_keys=(KEY,), database_url=database_url, var_dir=folder, public_url=f"http://127.0.0.1:{port}"
    )
    parts: Parts = create_app(settings).extensions[EXTENSION]
    yield parts
    parts.database.dispose()
