"""Chromium for tests: where it is found, and what happens to tests that want it where it is not."""

import ctypes
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.programs import do_without

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.*",
)
"""It asks nobody for anything but the service on this machine."""


def find_chromium() -> str:
    """The path of Chromium. Without it, or what steers it, the test is skipped (or fails, see below)."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        do_without("chromium")
    try:
        ctypes.CDLL("libatomic.so.1")  # Playwright's driver does not start without it, and says so to nobody.
    except OSError:
        do_without("libatomic1")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; each `new_context()` of it is a reader with cookies of their own."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET])
        yield browser
        browser.close()
