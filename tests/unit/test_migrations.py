"""Migrations: up, down and up again, in agreement with the models, and by several processes at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, make_url, select, text

from newsletter_svc import migrations
from newsletter_svc.app import create_app
from newsletter_svc.db import Base, Database
from newsletter_svc.migrations import tables  # noqa: F401 - so that every table is known.
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers.models import Newsletter, Subscriber
from newsletter_svc.web.state import EXTENSION
from tests.conftest import POSTGRES

NOW = datetime(2026, 11, 24, 5, 37, tzinfo=UTC)


@pytest.fixture
def empty_url(tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it, that nobody else uses."""
    if not POSTGRES:
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = Database(POSTGRES)
    name = f"empty_{os.getpid()}"
    with server.engine.connect() as connection:
        outside = connection.execution_options(isolation_level="AUTOCOMMIT")
        outside.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        outside.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.dispose()


def table_names(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def differences(database: Database) -> list[object]:
    """What Alembic would have to change to make the tables those of the models."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Base.metadata))


def is_current(database: Database) -> bool:
    with database.engine.connect() as connection:
        return migrations.is_current(connection)


def test_migrating_makes_the_tables_of_the_models(empty: Database) -> None:
    migrations.upgrade(empty)
    assert table_names(empty) == set(Base.metadata.tables)
    assert differences(empty) == []


def test_the_way_down_removes_everything_and_the_way_up_works_again(empty: Database) -> None:
    migrations.upgrade(empty)
    migrations.downgrade(empty, "base")
    assert table_names(empty) == set()
    migrations.upgrade(empty)
    assert differences(empty) == []


def test_each_step_can_be_walked_down_and_up_by_itself(empty: Database) -> None:
    migrations.upgrade(empty)
    script = ScriptDirectory.from_config(migrations.config())
    for revision in script.walk_revisions():
        migrations.downgrade(empty, str(revision.down_revision or "base"))
        migrations.upgrade(empty, revision.revision)
        migrations.downgrade(empty, str(revision.down_revision or "base"))
    migrations.upgrade(empty)
    assert differences(empty) == []


def test_the_history_has_one_beginning_and_one_end() -> None:
    script = ScriptDirectory.from_config(migrations.config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_a_database_is_current_only_at_the_newest_step(empty: Database) -> None:
    assert not is_current(empty)
    migrations.upgrade(empty)
    assert is_current(empty)
    migrations.downgrade(empty, "base")
    assert not is_current(empty)


def test_migrating_again_changes_nothing_and_keeps_the_rows(empty: Database) -> None:
    migrations.upgrade(empty)
    with empty.transaction() as session:
        session.add(Subscriber(email="ada@example.org", email_key="ada@example.org", created_at=NOW))
    migrations.upgrade(empty)
    with empty.reading() as session:
        assert session.scalars(select(Subscriber.email)).all() == ["ada@example.org"]


def test_references_are_checked_again_after_a_migration(empty: Database) -> None:
    migrations.upgrade(empty)
    if empty.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite switches the checking of references off while it migrates")
    with empty.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


def test_processes_that_migrate_at_once_take_turns(empty_url: str) -> None:
    """A platform starts several instances of a release together, each of which migrates first."""
    environ = os.environ | {"DATABASE_URL": empty_url, "SECRET_KEYS": "k" * 32}
    command = [sys.executable, "-c", "from newsletter_svc.app import main; main()", "db", "upgrade"]
    started = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    database = Database(empty_url)
    assert differences(database) == []
    with database.reading() as session:
        assert session.scalars(select(Newsletter.slug)).all() == ["briefing"]
    database.dispose()


def test_the_application_starts_before_its_database_is_migrated(empty_url: str, tmp_path: Path) -> None:
    """The web process may come up first: it says that it is not ready and does not fall over."""
    app = create_app(Settings(secret_keys=("k" * 32,), database_url=empty_url, var_dir=tmp_path))
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    app.extensions[EXTENSION].database.dispose()
