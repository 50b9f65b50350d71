"""Where the time of the whole job goes: py-spy looks from outside, which costs the job next to nothing."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import generators, jobs, sinks, stores, tables
from benchmarks.jobs import Job

READERS = 100_000
SAMPLES_PER_SECOND = 500
ROWS = 25
OURS = "newsletter_svc/"


class Sample(NamedTuple):
    """A stack, outermost function first, and how often it was seen."""

    stack: Sequence[str]
    seen: int


def main(*, readers: int = READERS) -> None:
    """Print tables for SQLite and PostgreSQL, without and with DKIM."""
    fill: stores.Fill = partial(jobs.fill, readers=readers)
    with (
        tempfile.TemporaryDirectory() as name,
        stores.postgres_server() as server,
        sinks.sink(folder := Path(name)) as sink,
    ):
        found: list[stores.Store] = [stores.Sqlite(folder, fill)]
        if server is not None:
            found.append(stores.Postgres(server, fill))
        for title, extra in (("", {}), (", DKIM", generators.signing(folder, generators.private_key()))):
            for store in found:
                with store.copy() as url, tempfile.TemporaryDirectory(dir=folder) as own:
                    output = Path(own) / "samples"
                    jobs.run(Job(readers, extra=extra), Path(own), url, sink, under=_spy(output))
                    _show(f"{store.name}{title}, {readers:,} readers", list(_samples(output)))


def _spy(output: Path) -> list[str]:
    """The command that runs another one and looks at it, at each of its threads and children that are at work."""
    options = ["--format", "raw", "--full-filenames", "--function", "--subprocesses", "--threads", "--nonblocking"]
    return ["py-spy", "record", "--rate", str(SAMPLES_PER_SECOND), "--output", str(output), *options, "--"]


def _samples(output: Path) -> Iterator[Sample]:
    for line in output.read_text(encoding="utf-8").splitlines():
        stack, _, seen = line.rpartition(" ")
        sample = Sample(stack.split(";"), int(seen))
        if not sample.stack[-1].startswith(("process ", "thread ")):  # Nothing of Python was running.
            yield sample


def _show(title: str, samples: Sequence[Sample]) -> None:
    total = sum(sample.seen for sample in samples)
    print(f"\n{title}: {total / SAMPLES_PER_SECOND:.1f} s in all threads that were at work or wanted to be")
    _table(
        "In which module of ours, with the libraries that it calls", (_module(sample) for sample in samples), samples
    )
    _table("In which function of ours, likewise", (_ours(sample) for sample in samples), samples)
    _table("In which function at all", (_short(sample.stack[-1]) for sample in samples), samples)


def _table(heading: str, places: Iterable[str], samples: Sequence[Sample]) -> None:
    counts: Counter[str] = Counter()
    for place, sample in zip(places, samples, strict=True):
        counts[place] += sample.seen
    found = [[f"{100 * seen / counts.total():.1f} %", f"`{place}`"] for place, seen in counts.most_common(ROWS)]
    tables.show(heading, ["share", "where"], found)


def _module(sample: Sample) -> str:
    """Of the innermost function of this project; importing anything is one module of its own."""
    if any("importlib._bootstrap" in frame for frame in sample.stack):
        return "import"
    return _ours(sample).rpartition("(")[2].partition(":")[0].rstrip(")")


def _ours(sample: Sample) -> str:
    """The innermost function of this project."""
    return next((_short(frame) for frame in reversed(sample.stack) if OURS in frame), "elsewhere")


def _short(frame: str) -> str:
    """`take (delivery/stock.py:120)`: the path from the package on."""
    name, _, place = frame.partition(" (")
    for root in (OURS, "site-packages/"):
        place = place.rpartition(root)[2]
    return f"{name} ({place}"
