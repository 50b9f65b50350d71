"""What the tests of the running service share: a mail server, the service's parts, and starting it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from newsletter_svc.app import create_app
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.conftest import KEY
from tests.e2e.service import Service, free_port, running
from tests.fakes.smtp import Sink

WITHOUT_LIMITS = dict.fromkeys(("LIMIT_PER_ADDRESS", "LIMIT_PER_IP", "LIMIT_GLOBAL"), "1000000/hour")

Start = Callable[[], AbstractContextManager[Service]]


@pytest.fixture
def sink() -> Iterator[Sink]:
    """The mail server that the service sends to."""
    with Sink() as sink:
        yield sink


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(database_url: str, sink: Sink, port: int, tmp_path: Path) -> Start:
    """Start the service: two workers, and the sender beside them."""

    def begin() -> AbstractContextManager[Service]:
        return running(
            tmp_path,
            port,
            DATABASE_URL=database_url,
            SECRET_KEYS=KEY,
            MAIL_SERVER="127.0.0.1",
            MAIL_PORT=str(sink.port),
            **WITHOUT_LIMITS,
        )

    return begin


@pytest.fixture
def service(start: Start) -> Iterator[Service]:
    with ExitStack() as stack:
        yield stack.enter_context(start())


@pytest.fixture
def parts(database_url: str, port: int, tmp_path: Path) -> Iterator[Parts]:
    """The same parts in this process, without a sender: for looking into the database and for making an issue."""
    settings = Settings(
        secret_keys=(KEY,), database_url=database_url, var_dir=tmp_path, public_url=f"http://127.0.0.1:{port}"
    )
    found: Parts = create_app(settings).extensions[EXTENSION]
    yield found
    found.database.dispose()
