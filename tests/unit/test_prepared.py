"""Prepared statements: the values and errors that SQLAlchemy would give, in the session's own transaction."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from newsletter_svc.db import Database, insert_row
from newsletter_svc.delivery.models import Scope, Suppression
from newsletter_svc.prepared import Prepared

NOW = datetime(2026, 11, 24, 5, 37, 48, 123456, UTC)
VALUES = {"email_key": "ada@example.org", "reason": "complaint", "scope": Scope.NEWSLETTERS, "created_at": NOW}
SINCE = Prepared(
    lambda _: select(Suppression.email_key, Suppression.reason).where(Suppression.created_at >= bindparam("since"))
)


def test_what_is_inserted_reads_back_as_what_it_was(database: Database) -> None:
    with database.transaction() as session:
        insert_row(session, Suppression, VALUES)
    with database.reading() as session:
        row = session.scalars(select(Suppression)).one()
        assert {name: getattr(row, name) for name in VALUES} == VALUES


def test_values_are_compared_as_their_columns_store_them(database: Database) -> None:
    with database.transaction() as session:
        insert_row(session, Suppression, VALUES)
        assert SINCE.run(session, {"since": NOW}) == [("ada@example.org", "complaint")]
        assert not SINCE.run(session, {"since": NOW + timedelta(microseconds=1)})


def test_it_is_undone_with_its_transaction(database: Database) -> None:
    with database.transaction() as session:
        with session.begin_nested() as work:
            insert_row(session, Suppression, VALUES)
            work.rollback()
        assert not SINCE.run(session, {"since": NOW})


def test_an_error_of_the_driver_is_one_of_sqlalchemys_and_quotes_no_value(database: Database) -> None:
    def insert_twice() -> None:
        with database.transaction() as session:
            insert_row(session, Suppression, VALUES)
            insert_row(session, Suppression, VALUES)

    with pytest.raises(IntegrityError) as caught:
        insert_twice()
    assert "complaint" not in str(caught.value)
    with database.reading() as session:
        assert not SINCE.run(session, {"since": NOW})


def test_a_value_that_is_missing_is_an_error_before_anything_is_sent(database: Database) -> None:
    with pytest.raises(KeyError, match="since"), database.reading() as session:
        SINCE.run(session, {})


def test_a_connection_that_the_server_ended_is_an_operational_error_and_the_next_transaction_has_another(
    database: Database,
) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite is no server")

    def lose_the_connection() -> None:
        with database.transaction() as session, database.transaction() as other:
            mine = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            other.execute(text("SELECT pg_terminate_backend(:mine)"), {"mine": mine})
            insert_row(session, Suppression, VALUES)

    with pytest.raises(OperationalError):
        lose_the_connection()
    with database.transaction() as session:
        insert_row(session, Suppression, VALUES)
        assert SINCE.run(session, {"since": NOW})
