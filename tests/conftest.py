"""The fixtures that most tests share: settings, a migrated database, the application, and what it has sent."""

import os
import shutil
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

from newsletter_svc import migrations
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base, Database
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web.state import EXTENSION
from newsletter_svc.words import shipped
from tests import broker, remembered
from tests.fakes.nameserver import Nameserver
from tests.inbox import Inbox

# Tests assert what happens; how long it takes on a busy machine belongs to the benchmarks.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")
remembered.remember()

KEY = "a key for tests that is long enough to sign with"


WAITING = {"e2e", "faults", "smtp"}
"""The folders whose tests wait for servers and processes more than they work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, each in turn with one whose tests use the time in which it waits."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [path for path in files if path.parent.name in WAITING]
    working = [path for path in files if path not in waiting]
    turns = chain.from_iterable(zip_longest(waiting, working))
    items[:] = [item for path in turns if path is not None for item in files[path]]


def _database_of_this_process(url: str | None) -> str | None:
    """The database that TEST_POSTGRES_URL names, or a new one beside it where several processes run tests at once."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if url is None or worker is None:
        return url
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS tests_{worker} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE tests_{worker} TEMPLATE template0"))
    engine.dispose()
    return make_url(url).set(database=f"tests_{worker}").render_as_string(hide_password=False)


POSTGRES = _database_of_this_process(os.environ.get("TEST_POSTGRES_URL"))
"""Set: every test that has a database has it on this server. Unset: SQLite."""


@pytest.fixture(scope="session")
def migrated_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with all tables and the default newsletter, made once."""
    url = POSTGRES or f"sqlite:///{tmp_path_factory.mktemp('database')}/migrated.db"
    database = Database(url)
    if POSTGRES:
        with database.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    migrations.upgrade(database)
    database.dispose()
    return url


@pytest.fixture
def database_url(migrated_url: str, tmp_path: Path) -> str:
    """A migrated database of this test's own, with the newsletter `briefing` and nothing else."""
    return fresh_database(migrated_url, tmp_path)


def fresh_database(migrated_url: str, folder: Path) -> str:
    """The address of a database as it is after `newsletter db upgrade`; on SQLite in `folder`."""
    if POSTGRES:
        url = migrated_url
    else:
        url = f"sqlite:///{folder}/test.db"
        shutil.copy(make_url(migrated_url).database or "", folder / "test.db")
    database = Database(url)
    with database.transaction() as session:
        if POSTGRES:
            tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
            session.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        newsletters.ensure_default(session, words=shipped(), now=utcnow())
    database.dispose()
    return url


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """Close what a test's own applications left open: psycopg complains of each connection that nobody closed."""
    engines: set[Engine] = set()

    def remember(connection: Connection) -> None:
        engines.add(connection.engine)

    event.listen(Engine, "engine_connect", remember)
    yield
    event.remove(Engine, "engine_connect", remember)
    for engine in engines:
        if engine.dialect.name == "postgresql":
            engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the templates of mails are kept as the first test compiled them."""
    folder = tmp_path_factory.mktemp("templates")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def settings(database_url: str, compiled_templates: Path, tmp_path: Path) -> Settings:
    """Development with the local mailbox, so that a test finds what was sent as files, and limits that nobody meets."""
    (tmp_path / "templates").symlink_to(compiled_templates)
    return Settings(
        secret_keys=(KEY,),
        database_url=database_url,
        var_dir=tmp_path,
        limit_per_address="1000000/hour",
        limit_per_ip="1000000/hour",
        limit_global="1000000/hour",
        limit_wrong_codes="1000000/hour",
    )


@pytest.fixture
def queues() -> Iterator[redis.Redis]:
    """The broker's database, empty, for looking at what waits there."""
    with broker.client(broker.required_redis()) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def broker_url(queues: redis.Redis) -> str:
    """The broker, where nothing waits."""
    return broker.as_celery_says(broker.required_redis())


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    application = create_app(settings)
    yield application
    application.extensions[EXTENSION].database.dispose()


@pytest.fixture
def parts(app: Flask) -> Parts:
    found: Parts = app.extensions[EXTENSION]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def inbox(parts: Parts) -> Inbox:
    """What was sent, as a reader's mail program shows it; looking first sends what is due."""
    return Inbox(parts)


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    """A name server that knows nothing yet."""
    with Nameserver() as nameserver:
        yield nameserver
