"""Programs that some tests need: where they are, and what happens to the tests where they are not."""

import os
import shutil
from typing import NoReturn

import pytest


def find(program: str, *, package: str) -> str:
    """The program's path. Without it the test is skipped, or fails on the machine that decides."""
    return shutil.which(program) or do_without(package)


def do_without(package: str) -> NoReturn:
    """Skip the test; on the machine that decides, where nothing may be missing, fail it."""
    missing = f"missing: apt-get install {package}"
    if os.environ.get("CI") or os.environ.get("REQUIRE_SERVICES"):
        pytest.fail(missing)
    pytest.skip(missing)
