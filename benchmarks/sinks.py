"""The mail server of the benchmarks: a small C program that takes everything, so that it is not what is measured."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent / "sink" / "sink.c"


@contextmanager
def running(folder: Path, *options: str) -> Iterator[int]:
    """The port of a sink that was compiled into this folder. Raises FileNotFoundError where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("the benchmarks need a C compiler: apt-get install gcc libc6-dev")
    program = folder / "sink"
    subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCE)], check=True)
    process = subprocess.Popen([str(program), "-p", "0", *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[1])
    finally:
        process.terminate()
        process.wait(10)
