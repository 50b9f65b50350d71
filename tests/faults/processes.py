"""The `newsletter` command in processes that can be killed; each is forked from one that has imported everything."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from multiprocessing.process import BaseProcess
from pathlib import Path

from newsletter_svc import clock

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.forerunner"])


@dataclass(frozen=True)
class Running:
    """One command in a process of its own."""

    process: BaseProcess
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def said(self) -> str:
        """What it has printed and logged so far."""
        return self.log.read_text()

    def ended(self, *, seconds: float = 60) -> int:
        """Wait for its end and return the exit code: 0, 1, or -9 for who was killed."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} seconds:\n{self.said()}"
        return self.process.exitcode

    def kill(self) -> None:
        """`kill -9`, for all its processes: as if the machine was switched off."""
        for process_id in descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        self.process.join()


def descendants(process_id: int) -> list[int]:
    """This process and all that came of it, each before those that it has made."""
    found = [process_id]
    for parent in found:
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            found += [int(child) for child in children.split()]
    return found


@contextmanager
def command(
    *arguments: str, environ: Mapping[str, str], log: Path, fast_by: timedelta = timedelta()
) -> Iterator[Running]:
    """Run `newsletter` with these arguments, on a clock that is `fast_by`; what runs after the block is killed."""
    process = _CONTEXT.Process(target=_run, args=(arguments, dict(environ), log, fast_by))
    log.touch()
    process.start()
    running = Running(process, log)
    try:
        yield running
    finally:
        if running.is_alive:
            running.kill()
        process.close()


def _run(arguments: tuple[str, ...], environ: dict[str, str], log: Path, fast_by: timedelta) -> None:
    from newsletter_svc.app import main

    # Who runs the tests in the background of a shell has Ctrl-C ignored, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if fast_by:
        _set_clock(fast_by)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["newsletter", *arguments]
    main()


def _set_clock(fast_by: timedelta) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # As exact as it has to be.
            return datetime.now(tz) + fast_by

    clock.datetime = Wrong  # type: ignore[attr-defined,misc]
