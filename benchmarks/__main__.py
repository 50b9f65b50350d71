"""`make bench`: the named benchmarks, or the usual ones, with the machine and the date."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping

from benchmarks import bulk_wire, digest, growth, lanes, machine, profiling, sign_in, workers

BENCHMARKS: Mapping[str, Callable[[], None]] = {
    "digest": digest.main,
    "workers": workers.main,
    "lanes": lanes.main,
    "sign-in": sign_in.main,
    "growth": growth.main,
    "wire": bulk_wire.main,
    "profile": profiling.main,
}
USUAL = ("digest", "workers", "lanes", "sign-in")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; {', '.join(USUAL)} if none")
    names = parser.parse_args().names or USUAL
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark called {', '.join(unknown)}")
    # What was started is ended in `finally` blocks, which a signal alone would pass by.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(f"{machine.headline()}, {machine.load()} at the start")
    for name in names:
        BENCHMARKS[name]()
    print(f"\n{machine.load()} at the end")


if __name__ == "__main__":
    main()
