"""The journal of a claim: whatever is left of it after a kill says the truth."""

import fcntl
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from newsletter_svc.db import Database
from newsletter_svc.delivery import journal, leases, ledger, recovery
from newsletter_svc.delivery.journal import Ended, Journal, Record
from newsletter_svc.delivery.models import Delivery, Lane, Status, Suppression
from tests.factories import owe_bulk, owe_single

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
RESEND = 900

steps = st.lists(
    st.tuples(
        st.integers(0, 2**63 - 1),
        st.none() | st.sampled_from(Ended),
        st.text(st.characters(codec="utf-8"), max_size=40),
    ),
    max_size=20,
)


def write(directory: Path, done: list[tuple[int, Ended | None, str]], *, mailing_id: int | None = None) -> Path:
    """A journal as a killed sender leaves it: let go of, but not removed."""
    left = Journal(directory, "dead", mailing_id=mailing_id)
    for delivery_id, ended, reply in done:
        if ended is None:
            left.intent(delivery_id)
        else:
            left.result(delivery_id, ended, reply.encode())
    left.close(done=False)
    return directory / "dead.journal"


def read(directory: Path) -> dict[int, Record]:
    (left,) = journal.left_behind(directory)
    return left.records


@given(done=steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_last_about_a_delivery_is_what_is_read(tmp_path: Path, done: list) -> None:
    path = write(tmp_path, done)

    assert read(tmp_path) == {delivery_id: Record(ended, reply if ended else "") for delivery_id, ended, reply in done}
    path.unlink()


@given(done=steps, cut=st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_cut_short_by_a_kill_is_as_if_it_had_not_been_written(tmp_path: Path, done: list, cut: int) -> None:
    path = write(tmp_path, done)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])

    prefixes = [
        {delivery_id: Record(ended, reply if ended else "") for delivery_id, ended, reply in done[:length]}
        for length in range(len(done) + 1)
    ]
    assert read(tmp_path) in prefixes
    path.unlink()


def test_the_journal_of_a_living_sender_is_left_alone(tmp_path: Path) -> None:
    with Journal(tmp_path, "living"):
        assert list(journal.left_behind(tmp_path)) == []
        assert journal.present(tmp_path) == ["living"]

    assert journal.present(tmp_path) == []


def test_a_journal_that_recovery_removed_before_it_was_locked_is_made_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def lock_too_late(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        assert recovery.recover(database, tmp_path, unknown_resend_seconds=RESEND, now=NOW) == 1
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", lock_too_late)
    with Journal(tmp_path, "alive") as own:
        own.intent(7)
        assert journal.present(tmp_path) == ["alive"]
        assert list(journal.left_behind(tmp_path)) == []


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 4])
def test_a_journal_that_cannot_be_begun_leaves_no_file_behind_and_none_open(tmp_path: Path, room: int) -> None:
    with no_file_grows_beyond(room), pytest.raises(OSError, match=r"No space left|File too large"):
        Journal(tmp_path, "alive")
    assert journal.present(tmp_path) == []
    open_files = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert not [each for each in open_files if each.is_relative_to(tmp_path)]


@pytest.mark.parametrize("room", range(1, 9))
def test_a_record_that_the_disk_has_no_room_for_is_an_error_and_leaves_the_others_readable(
    tmp_path: Path, room: int
) -> None:
    own = Journal(tmp_path, "dead")
    own.intent(7)
    size = (tmp_path / "dead.journal").stat().st_size
    with no_file_grows_beyond(size + room), pytest.raises(OSError, match="No space left"):
        own.intent(8)
    own.result(7, Ended.ACCEPTED, b"250 Ok")
    own.close(done=False)

    assert read(tmp_path) == {7: Record(Ended.ACCEPTED, "250 Ok")}


def test_a_block_that_fails_leaves_its_journal_for_recovery(tmp_path: Path) -> None:
    def fail_after_the_dot() -> None:
        with Journal(tmp_path, "failed") as own:
            own.intent(7)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_the_dot()

    assert [left.records for left in journal.left_behind(tmp_path)] == [{7: Record(None)}]


@dataclass(frozen=True)
class Held:
    """Five deliveries in the hands of a sender named `dead`."""

    mailing_id: int | None
    ids: list[int]


@pytest.fixture(params=Lane)
def held(request: pytest.FixtureRequest, database: Database) -> Held:
    recipients = [f"reader{number}@example.org" for number in range(5)]
    mailing_id = None
    with database.transaction() as session:
        if request.param is Lane.BULK:
            mailing_id = owe_bulk(session, *recipients, now=NOW)
        else:
            for recipient in recipients:
                owe_single(session, recipient, now=NOW)
        lease = ledger.Lease(worker="dead", seconds=300)
        taken = ledger.claim(session, mailing_id, lease=lease, limit=9, wanted={}, now=NOW)
    return Held(mailing_id, [row.id for row in taken])


def test_recovery_settles_each_delivery_by_what_the_journal_says(
    database: Database, held: Held, tmp_path: Path
) -> None:
    accepted, refused, in_flight, not_taken, untouched = held.ids
    write(
        tmp_path,
        [
            (accepted, None, ""),
            (accepted, Ended.ACCEPTED, "250 2.0.0 queued as 7"),
            (refused, Ended.REFUSED, "550 5.1.1 no such user"),
            (in_flight, None, ""),
            (not_taken, None, ""),
            (not_taken, Ended.NOT_TAKEN, ""),
        ],
        mailing_id=held.mailing_id,
    )

    assert recovery.recover(database, tmp_path, unknown_resend_seconds=RESEND, now=NOW) == 1

    with database.reading() as session:
        rows = {row.id: row for row in session.scalars(select(Delivery))}
        suppressed = list(session.scalars(select(Suppression.email_key)))
    assert {row.id: row.status for row in rows.values()} == {
        accepted: Status.SENT,
        refused: Status.FAILED,
        in_flight: Status.UNKNOWN,
        not_taken: Status.PENDING,
        untouched: Status.PENDING,
    }
    assert rows[accepted].reply == "250 2.0.0 queued as 7"
    assert rows[refused].reason == "5.1.1"
    assert suppressed == ["reader1@example.org"]
    assert rows[in_flight].due_at == NOW + timedelta(seconds=60 if held.mailing_id is None else RESEND)
    assert [rows[each].attempts for each in (not_taken, untouched)] == [0, 0]
    assert journal.present(tmp_path) == []


def test_recovering_twice_changes_nothing_more(database: Database, held: Held, tmp_path: Path) -> None:
    write(tmp_path, [(held.ids[0], None, "")], mailing_id=held.mailing_id)
    recovery.recover(database, tmp_path, unknown_resend_seconds=RESEND, now=NOW)

    assert recovery.recover(database, tmp_path, unknown_resend_seconds=RESEND, now=NOW) == 0


def test_a_lease_that_ran_out_says_nothing_while_the_journal_can_be_read(database: Database, held: Held) -> None:
    with database.transaction() as session:
        session.execute(update(Delivery).values(leased_until=NOW - timedelta(days=9000)))
        assert not leases.any_expired(session, journalled=["dead", "another"], now=NOW)
        assert leases.release_expired(session, journalled=["dead", "another"], now=NOW) == 0
        assert leases.any_expired(session, journalled=["another"], now=NOW)
        assert leases.release_expired(session, journalled=["another"], now=NOW) == len(held.ids)
        assert set(session.scalars(select(Delivery.status))) == {Status.PENDING}
