"""Where the figures come from: the machine, the date, and what it spends."""

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter_svc.clock import utcnow

CORES = len(os.sched_getaffinity(0))


@dataclass
class Cost:
    """What something took: seconds by the clock, and seconds of processors, which other work on the machine spares."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def cost(*, of_children: bool) -> Iterator[Cost]:
    """The cost of a `with` block, known after it: of the programs that ended in it, or of this process alone."""
    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    found, before, started = Cost(), resource.getrusage(who), time.perf_counter()
    yield found
    found.seconds, after = time.perf_counter() - started, resource.getrusage(who)
    found.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def headline() -> str:
    """One line that says when and on what the benchmarks ran."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{utcnow():%Y-%m-%d %H:%M} UTC, {CORES} cores ({_processor()}), {memory:.0f} GB, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def load() -> str:
    """How busy the machine was of late: figures that were taken beside other work say so."""
    return f"load average {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
