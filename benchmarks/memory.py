"""How much memory a process and its children hold at most, as the kernel has it on record (VmHWM)."""

import contextlib
import threading
from pathlib import Path
from typing import Self

LOOK_SECONDS = 0.05


class Watch:
    """Looks at a process and everything under it until the `with` block ends. A child that was seen once counts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def peak_octets(self) -> int:
        """The sum of each process's highest mark: never less than what they held together at any one moment."""
        return sum(self._peaks.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            for pid in _tree(self._pid):
                with contextlib.suppress(OSError, StopIteration):
                    self._peaks[pid] = _high_water_mark(pid)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in children.read_text().split())
    return found


def _high_water_mark(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
