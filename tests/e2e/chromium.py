"""Chromium for tests: where it is found, and what happens to tests that want it where it is not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""It asks nobody for anything but the service on this machine."""


def services_are_required() -> bool:
    """Whether a missing program fails a test instead of skipping it: on the machine that decides, it must be there."""
    return bool(os.environ.get("CI") or os.environ.get("REQUIRE_SERVICES"))


def find_chromium() -> str:
    """The path of Chromium; without one the test is skipped, or fails where services are required."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    missing = "Chromium is not installed: apt-get install chromium"
    if services_are_required():
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; each `new_context()` of it is a reader with cookies of their own."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET])
        yield browser
        browser.close()
