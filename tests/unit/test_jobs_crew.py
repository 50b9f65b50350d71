"""A crew of senders: who is in it, who takes the place of one that died, and how it ends with the one that keeps it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs import crew
from newsletter_svc.jobs.crew import Reserve, Work
from tests.e2e.service import wait_until
from tests.faults.processes import descendants

Start = Callable[..., Reserve]


@pytest.fixture
def members(tmp_path: Path) -> Callable[[], list[tuple[Lane, int]]]:
    """Whoever has begun to work so far: the lane and the process id of each."""
    log = tmp_path / "members"
    log.touch()
    return lambda: [(Lane(lane), int(number)) for lane, number in map(str.split, log.read_text().splitlines())]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """What well-behaved senders do."""

    def until_told(lane: Lane, told: threading.Event) -> bool:
        note(tmp_path, lane)
        return told.wait()

    return until_told


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Reserve] = []

    def begin(work: Work, *, bulk: int, stop_seconds: float = 5) -> Reserve:
        made.append(Reserve(work, stop_seconds=stop_seconds))
        made[-1].start(bulk=bulk)
        return made[-1]

    yield begin
    for reserve in made:
        reserve.stop()


def note(folder: Path, lane: Lane) -> None:
    with (folder / "members").open("a") as log:
        log.write(f"{lane} {os.getpid()}\n")


def is_alive(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_sign_in_mail_has_a_process_and_digests_as_many_as_asked_for(
    start: Start, work: Work, members: Callable[[], list[tuple[Lane, int]]]
) -> None:
    reserve = start(work, bulk=3)
    wait_until(lambda: len(members()) == 4, "all of them work")
    assert sorted(lane for lane, _ in members()) == [Lane.BULK] * 3 + [Lane.TRANSACTIONAL]
    assert len({number for _, number in members()}) == 4
    assert not reserve.has_ended()
    assert reserve.stop()
    assert not any(is_alive(number) for _, number in members())


def test_one_that_is_killed_is_replaced_and_the_others_go_on(
    start: Start, work: Work, members: Callable[[], list[tuple[Lane, int]]]
) -> None:
    reserve = start(work, bulk=1)
    wait_until(lambda: len(members()) == 2, "both work")
    before = dict(members())
    os.kill(before[Lane.BULK], signal.SIGKILL)
    wait_until(lambda: len(members()) == 3, "another one works")
    assert members()[-1][0] == Lane.BULK
    assert is_alive(before[Lane.TRANSACTIONAL])
    assert reserve.stop()


def test_all_of_them_end_when_the_one_that_keeps_them_is_killed(
    start: Start, work: Work, members: Callable[[], list[tuple[Lane, int]]]
) -> None:
    known = set(descendants(os.getpid()))
    reserve = start(work, bulk=2)
    wait_until(lambda: len(members()) == 3, "all of them work")
    [keeper] = set(descendants(os.getpid())) - known - {number for _, number in members()}
    os.kill(keeper, signal.SIGKILL)
    wait_until(reserve.has_ended, "the keeper is gone")
    wait_until(lambda: not any(is_alive(number) for _, number in members()), "the others have ended")
    assert not reserve.stop()


def test_one_that_does_not_end_when_it_is_told_is_killed(
    start: Start, tmp_path: Path, members: Callable[[], list[tuple[Lane, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "KILL_SECONDS", 0.0)

    def for_ever(lane: Lane, told: threading.Event) -> bool:
        note(tmp_path, lane)
        while True:
            time.sleep(600)

    reserve = start(for_ever, bulk=1, stop_seconds=0.1)
    wait_until(lambda: len(members()) == 2, "both work")
    assert not reserve.stop()
    assert not any(is_alive(number) for _, number in members())


def test_a_reserve_that_is_not_needed_ends_without_having_begun(
    work: Work, members: Callable[[], list[tuple[Lane, int]]]
) -> None:
    assert Reserve(work, stop_seconds=5).stop()
    assert members() == []
