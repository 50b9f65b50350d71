"""Where the figures come from: the machine, the date, and how the figures of several rounds become one."""

import os
import platform
from pathlib import Path

from newsletter_svc.clock import utcnow

CORES = len(os.sched_getaffinity(0))


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
