"""`digest send --wait` as a process: what it shows on a terminal, that it outlives it, and that others may steer it."""

import contextlib
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.digests import steering
from tests.conftest import KEY
from tests.factories import fill
from tests.fakes.smtp import Sink

READERS = 120
PER_SECOND = 40
"""Slow enough that the terminal goes in the middle."""

ON_A_TERMINAL = (
    "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from newsletter_svc.app import main; main()"
)
"""Leads the session of its terminal, as a shell's job does: the kernel sends it SIGHUP when that is closed."""
MAIN = "from newsletter_svc.app import main; main()"
BESIDE_IT = MAIN
"""Writes to the terminal all the same, and hears nothing of its end until that fails."""

COUNTING_ALWAYS = "from newsletter_svc.cli import watching; watching.COUNTING_SHARE = 0; "
"""So that a slow machine, on which a count takes long, shows steps in between too."""


@contextmanager
def sending(program: str, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command on a terminal of its own, and the other end of that."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", program, "digest", "send", "--wait"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=program == BESIDE_IT
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def environ(database_url: str, sink: Sink, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "HOME")}
    return {
        **kept,
        "TERM": "xterm",
        "COLUMNS": "120",
        "DATABASE_URL": database_url,
        "SECRET_KEYS": KEY,
        "NEWSLETTER_VAR_DIR": str(tmp_path),
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(sink.port),
        "MAIL_MAX_PER_SECOND": str(PER_SECOND),
    }


def statuses(database: Database) -> Counter[Status]:
    with database.reading() as session:
        return Counter(session.scalars(select(Delivery.status)))


def read_to_the_end(terminal: int) -> str:
    said = b""
    with contextlib.suppress(OSError):  # EIO is how a terminal says that nobody writes to it any more.
        while part := os.read(terminal, 4096):
            said += part
    return said.decode()


@pytest.mark.parametrize("program", [ON_A_TERMINAL, BESIDE_IT], ids=["hangup", "dead terminal"])
def test_closing_the_terminal_in_the_middle_loses_no_reader(
    database: Database, sink: Sink, environ: dict[str, str], program: str
) -> None:
    fill(database, "One", readers=READERS)
    with sending(program, environ) as (process, terminal):
        sink.wait_for(READERS // 10, seconds=30)
        os.close(terminal)
        assert len(sink.received) < READERS
        assert process.wait(60) == 0

    assert statuses(database) == {Status.SENT: READERS}
    assert len({mail.message["Message-ID"] for mail in sink.received}) == len(sink.received) == READERS


def test_a_terminal_shows_a_bar_with_the_rate_and_the_time_left(
    database: Database, sink: Sink, environ: dict[str, str]
) -> None:
    fill(database, "One", readers=READERS)
    with sending(COUNTING_ALWAYS + ON_A_TERMINAL, environ) as (process, terminal):
        said = read_to_the_end(terminal)
        os.close(terminal)
        assert process.wait(60) == 0

    assert "Sending" in said
    assert f"{READERS}/{READERS}" in said
    assert " a second, " in said
    assert " s left" in said
    assert f"Issue 1 is done: {READERS} sent." in said


def test_ctrl_c_lets_what_is_in_flight_end_and_says_what_is_left(
    database: Database, sink: Sink, environ: dict[str, str]
) -> None:
    fill(database, "One", readers=READERS)
    with sending(ON_A_TERMINAL, environ) as (process, terminal):
        sink.wait_for(READERS // 10, seconds=30)
        os.write(terminal, b"\x03")
        said = read_to_the_end(terminal)
        os.close(terminal)
        assert process.wait(60) == 1

    found = statuses(database)
    assert found == {Status.SENT: len(sink.received), Status.PENDING: READERS - len(sink.received)}
    assert f"Issue 1 is going out: {found[Status.PENDING]} pending, {found[Status.SENT]} sent." in said


@contextmanager
def sending_in_the_background(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "digest", "send", "--wait"], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_an_issue_that_is_paused_in_the_middle_goes_on_later_and_no_mail_comes_twice(
    database: Database, sink: Sink, environ: dict[str, str]
) -> None:
    fill(database, "One", readers=READERS)
    with sending_in_the_background(environ) as process:
        sink.wait_for(READERS // 10, seconds=30)
        assert steering.pause(database, 1, now=utcnow())
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    sent = len(sink.received)
    assert sent < READERS
    assert statuses(database) == {Status.SENT: sent, Status.PENDING: READERS - sent}
    assert f"Issue 1 is paused: {READERS - sent} pending, {sent} sent." in said

    assert steering.resume(database, 1, now=utcnow())
    with sending_in_the_background(environ) as process:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert f"Issue 1 is done: {READERS} sent." in said
    assert len({mail.message["Message-ID"] for mail in sink.received}) == len(sink.received) == READERS


def test_an_issue_that_is_cancelled_in_the_middle_is_over_for_everybody_else(
    database: Database, sink: Sink, environ: dict[str, str]
) -> None:
    fill(database, "One", readers=READERS)
    with sending_in_the_background(environ) as process:
        sink.wait_for(READERS // 10, seconds=30)
        assert steering.cancel(database, 1, now=utcnow())
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    sent = len(sink.received)
    assert sent < READERS
    assert statuses(database) == {Status.SENT: sent, Status.CANCELLED: READERS - sent}
    assert f"Issue 1 is cancelled: {sent} sent, {READERS - sent} cancelled." in said
