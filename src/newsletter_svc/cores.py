"""How many processors this process may use."""

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def usable() -> int:
    """At least 1: what the machine has, less what its administrator or the container's limit takes away."""
    return max(1, min([_granted(), *_limits()]))


def _granted() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limits() -> list[int]:
    """What the control group of this process and those around it grant, in whole processors, rounded up."""
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].splitlines()[0].lstrip("/")
    except (OSError, IndexError):
        own = ""
    folders = [_GROUPS / own, *(_GROUPS / own).parents]
    return [limit for folder in folders if folder.is_relative_to(_GROUPS) and (limit := _limit(folder / "cpu.max"))]


def _limit(path: Path) -> int | None:
    """A quota and its period in microseconds, such as `150000 100000`; `max` is no limit."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None
