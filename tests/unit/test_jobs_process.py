"""Keeping one sender running: restarts, the end with the process that started it, and the lock that is passed on."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from newsletter_svc.jobs.process import SenderProcess
from tests.e2e.service import wait_until

UNTIL_INPUT_ENDS = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); os.read(0, 1)"
FOR_EVER = f"{UNTIL_INPUT_ENDS}; import time; time.sleep(600)"

Keep = Callable[..., SenderProcess]


@pytest.fixture
def starts(tmp_path: Path) -> Callable[[], list[int]]:
    """The process ids of all senders that were started so far."""
    log = tmp_path / "starts"
    log.touch()
    return lambda: [int(line) for line in log.read_text().splitlines()]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with ExitStack() as stack:

        def begin(
            program: str = UNTIL_INPUT_ENDS, *, is_wanted: Callable[[], bool] = lambda: True, is_alone: bool = False
        ) -> SenderProcess:
            command = (sys.executable, "-c", program, str(tmp_path / "starts"))
            lock = None if is_alone else tmp_path / "var" / "sender.lock"
            keeper = SenderProcess(command, lock=lock, is_wanted=is_wanted)
            stack.callback(keeper.stop, timeout=5)
            keeper.start()
            return keeper

        yield begin


def is_alive(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_of_two_keepers_one_starts_a_sender_and_the_other_takes_over_when_it_stops(
    keep: Keep, starts: Callable[[], list[int]]
) -> None:
    first = keep()
    wait_until(lambda: len(starts()) == 1, "a sender runs")
    keep()
    [before] = starts()
    assert is_alive(before)
    first.stop(timeout=5)
    wait_until(lambda: len(starts()) == 2, "the other keeper has started one")
    assert not is_alive(before)


def test_a_sender_that_dies_is_started_again(keep: Keep, starts: Callable[[], list[int]]) -> None:
    keep()
    for number in (1, 2):
        wait_until(lambda count=number: len(starts()) == count, f"sender {number} runs")
        os.kill(starts()[-1], signal.SIGKILL)
    wait_until(lambda: len(starts()) == 3, "the third sender runs")


def test_a_sender_that_does_not_end_in_time_is_killed(keep: Keep, starts: Callable[[], list[int]]) -> None:
    keeper = keep(FOR_EVER)
    wait_until(lambda: len(starts()) == 1, "a sender runs")
    assert not keeper.stop(timeout=0.1)
    wait_until(lambda: not is_alive(starts()[0]), "the sender is dead")


def test_those_that_are_kept_without_a_lock_run_side_by_side_and_are_asked_to_stop_together(
    keep: Keep, starts: Callable[[], list[int]]
) -> None:
    keepers = [keep(is_alone=True) for _ in range(2)]
    wait_until(lambda: len(starts()) == 2, "both run")
    for keeper in keepers:
        keeper.ask_to_stop()
    wait_until(lambda: not any(map(is_alive, starts())), "both have ended, and nobody waited for either")
    assert all(keeper.stop(timeout=5) for keeper in keepers)


def test_a_process_that_is_ending_starts_no_sender(keep: Keep, starts: Callable[[], list[int]]) -> None:
    ending = keep(is_wanted=lambda: False)
    after_it = keep()
    wait_until(lambda: len(starts()) == 1, "the lock was passed on to one that wants a sender")
    ending.stop(timeout=5)
    after_it.stop(timeout=5)
    assert len(starts()) == 1


def test_a_keeper_that_never_had_the_lock_stops_at_once(keep: Keep, starts: Callable[[], list[int]]) -> None:
    keep()
    wait_until(lambda: len(starts()) == 1, "a sender runs")
    keep().stop(timeout=0)
    assert is_alive(starts()[0])
