"""How many processors a process may use."""

import os
from pathlib import Path

import pytest

from newsletter_svc import cores
from newsletter_svc.cli.crews import senders_for


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cores, "_GROUPS", tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight of them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("limit", "usable"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("nonsense", 8)],
)
def test_a_container_has_no_more_than_it_is_granted(groups: Path, limit: str, usable: int) -> None:
    (groups / "cpu.max").write_text(f"{limit}\n")
    assert cores.usable() == usable


def test_without_a_limit_all_that_the_process_may_run_on_count(groups: Path) -> None:
    assert cores.usable() == 8


@pytest.mark.parametrize(("readers", "senders"), [(0, 1), (1, 1), (2_000, 1), (2_001, 2), (1_000_000, 4)])
def test_a_small_digest_wakes_one_sender_and_a_large_one_all(readers: int, senders: int) -> None:
    assert senders_for(readers, most=4) == senders
