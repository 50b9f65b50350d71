"""Output that outlives its reader."""

import io
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
import structlog

from newsletter_svc import logs
from newsletter_svc.streams import lasting, outliving_the_terminal


def test_what_is_written_arrives_at_the_end_of_its_line() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w", encoding="utf-8") as stream:
        stream.write("before ")
        through = lasting(stream)
        print("Łódź", file=through)
        assert reader.readline() == "before Łódź\n"


@pytest.mark.parametrize("make", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_a_reader_that_is_gone_raises_nothing_not_even_at_the_end(make: object) -> None:
    reading, writing = make()  # type: ignore[operator]
    with os.fdopen(writing, "w") as stream:
        through = lasting(stream)
        os.close(reading)
        for _ in range(3):
            print("nobody reads this", file=through, flush=True)
        through.write("nor this")
        through.close()


def test_a_disk_that_is_full_raises_nothing() -> None:
    with Path("/dev/full").open("w") as stream:
        print("no room", file=lasting(stream), flush=True)


def test_a_stream_that_is_no_file_stays_as_it_is() -> None:
    stream = io.StringIO()
    assert lasting(stream) is stream


def test_the_hangup_signal_is_ignored_for_as_long_as_the_work_takes() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with outliving_the_terminal():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_log_that_nobody_can_read_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structlog.get_config()
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        try:
            logs.configure()
            os.close(reading)
            structlog.get_logger().error("nobody_reads_this")
        finally:
            structlog.configure(**before)
