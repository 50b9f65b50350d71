"""Waking senders by the named pipe: from any process, and without harm where there is none."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.waking import Ear, Waker


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    return tmp_path / "var" / "wake"


@pytest.fixture
def own(pipe: Path) -> Path:
    """The pipe of the lane that is listened to."""
    return pipe.with_name("wake.transactional")


@pytest.fixture
def ear(pipe: Path) -> Iterator[Ear]:
    ear = Ear(pipe, Lane.TRANSACTIONAL)
    yield ear
    ear.close()


def test_a_sender_hears_a_waker_of_its_own_process(pipe: Path, ear: Ear) -> None:
    Waker(pipe)()
    assert ear.hears()


def test_a_sender_hears_a_waker_of_another_process(pipe: Path, ear: Ear) -> None:
    program = "import sys, pathlib; from newsletter_svc.jobs.waking import Waker; Waker(pathlib.Path(sys.argv[1]))()"
    subprocess.run([sys.executable, "-c", program, str(pipe)], check=True)
    assert ear.hears()


def test_hints_that_came_together_are_heard_once(pipe: Path, ear: Ear) -> None:
    for _ in range(100):
        Waker(pipe)()
    assert ear.hears()
    ear.stop()
    assert not ear.hears()


def test_a_hint_for_one_lane_is_not_taken_by_a_sender_of_the_other(pipe: Path, ear: Ear) -> None:
    other = Ear(pipe, Lane.BULK)
    Waker(pipe)(Lane.TRANSACTIONAL)
    other.stop()
    assert not other.hears()
    other.close()
    assert ear.hears()


def test_more_hints_than_the_pipe_holds_are_no_error(pipe: Path, own: Path, ear: Ear) -> None:
    end = os.open(own, os.O_WRONLY | os.O_NONBLOCK)
    held = os.write(end, bytes(2**20))
    assert held < 2**20
    os.close(end)
    Waker(pipe)()
    assert ear.hears()


def test_a_sender_that_waits_is_told_to_stop(ear: Ear) -> None:
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(ear.hears()))
    thread.start()
    ear.stop()
    thread.join()
    assert heard == [False]


def test_to_stop_a_closed_ear_does_nothing(pipe: Path) -> None:
    ear = Ear(pipe, Lane.TRANSACTIONAL)
    ear.close()
    ear.stop()


def test_without_a_sender_a_waker_does_nothing(pipe: Path) -> None:
    Waker(pipe)()
    assert not pipe.parent.exists()


def test_after_the_last_sender_a_waker_does_nothing(pipe: Path) -> None:
    Ear(pipe, Lane.TRANSACTIONAL).close()
    Waker(pipe)()


def test_the_pipe_is_for_its_owner_alone(own: Path, ear: Ear) -> None:
    assert stat.S_IMODE(own.stat().st_mode) == 0o600


def test_a_file_in_the_place_of_the_pipe_is_left_as_it_is(pipe: Path, own: Path) -> None:
    own.parent.mkdir()
    own.write_bytes(b"somebody's notes")
    ear = Ear(pipe, Lane.TRANSACTIONAL)
    Waker(pipe)()
    ear.stop()
    assert not ear.hears()
    ear.close()
    assert own.read_bytes() == b"somebody's notes"
