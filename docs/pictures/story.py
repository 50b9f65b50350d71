"""Takes the README's pictures: runs the demo in an empty folder, and goes a reader's way through it.

Run it as `python docs/pictures/story.py`; the pictures take the place of those in docs/pictures.
"""

import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
BIND = "127.0.0.1:8000"
SITE = f"http://{BIND}"
READER = "reader@example.org"
DESK = {"width": 1280, "height": 640}
PHONE = {"width": 375, "height": 640}
START_SECONDS = 60


@contextmanager
def running_demo() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        environ = {"PATH": os.environ["PATH"], "NEWSLETTER_VAR_DIR": folder}
        command = [sys.executable, "-m", "newsletter_svc", "demo", "--bind", BIND]
        process = subprocess.Popen(command, env=environ)  # noqa: S603 - our own command.
        try:
            _wait(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait(process: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 5):
        if process.poll() is not None:
            sys.exit("The demo has ended by itself.")
        try:
            urllib.request.urlopen(f"{SITE}/readyz")  # noqa: S310 - an address of ours.
        except OSError:
            sleep(0.2)
        else:
            return
    sys.exit("The demo does not answer.")


def subscribe(page: Page) -> None:
    page.goto(SITE)
    take(page, "front-page", DESK)
    page.locator("#subscribe").get_by_label("Email address").fill(READER)
    page.locator("#subscribe").get_by_role("button", name="Subscribe").click()
    page.get_by_text("Success! Check your email").wait_for()
    open_mail(page, "Confirm your subscription")
    page.goto(f"{page.url.split('?')[0]}/page")
    take(page, "confirm", PHONE)
    page.goto(page.get_by_role("link", name="Confirm my subscription").get_attribute("href") or "")
    page.get_by_text("You've successfully subscribed").wait_for()
    take(page, "subscribed", PHONE)


def update_billing(page: Page) -> None:
    page.goto(f"{SITE}/account")
    page.get_by_role("button", name="Pretend to pay for a subscription").click()
    page.get_by_role("button", name="Update billing").click()
    page.get_by_role("button", name="Save a new card").click()
    page.get_by_text("Success! Your billing info has been updated.").wait_for()
    take(page, "account", {"width": 1280, "height": 860})


def read_an_issue(page: Page) -> None:
    page.goto(SITE)
    page.get_by_role("button", name="Send the next issue").click()
    open_mail(page, "Lights in the strait")
    page.goto(f"{page.url.split('?')[0]}/page")
    take(page, "digest", {"width": 700, "height": 900})


def open_mail(page: Page, subject: str) -> None:
    page.goto(f"{SITE}/mailbox/")
    page.locator("#mails a").filter(has_text=subject).filter(has_text=READER).first.click()
    page.get_by_role("heading", level=1).filter(has_text=subject).wait_for()


def take(page: Page, name: str, size: dict[str, int]) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.wait_for_load_state("networkidle")
    page.screenshot(path=HERE / f"{name}.png", caret="hide", animations="disabled")
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})


def main() -> None:
    with running_demo(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        subscribe(page)
        update_billing(page)
        read_an_issue(page)
        browser.close()


if __name__ == "__main__":
    main()
