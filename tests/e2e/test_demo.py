"""The demo as a newcomer tries it: one window, the local mailbox, the stand-in for Stripe."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.e2e.chromium import chromium
from tests.e2e.service import ROOT, STOP_SECONDS, free_port, wait_until

GRACE = "grace.hopper@example.org"
MARY = "mary@example.org"
CHECK_EMAIL = "Success! Check your email for magic link to sign-in."
SUBSCRIBED = "You've successfully subscribed to The Global Diplomat."
SIGNED_UP = "Great! You’ve successfully signed up."
SIGNED_IN = "Welcome back! You've successfully signed in."
UPDATED = "Success! Your billing info has been updated."
NOT_UPDATED = "Your billing was not updated."

pytestmark = pytest.mark.browser


@contextmanager
def demo(folder: Path, port: int) -> Iterator[str]:
    """`newsletter demo` in an empty folder; what it printed. Ctrl-C has to end it."""
    log = folder / "demo.log"
    environ = {"NEWSLETTER_VAR_DIR": str(folder)}
    environ |= {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "newsletter_svc", "demo", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: "Booting worker" in log.read_text() or process.poll() is not None, "the demo is up")
        yield log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_SECONDS)
        wait_until(lambda: not _members(process.pid), "all of its processes have ended")


def _members(group: int) -> list[str]:
    """The processes of this group that have not ended."""
    listed = subprocess.run(["ps", "-o", "stat=,args=", "--sid", str(group)], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]


@contextmanager
def newcomer() -> Iterator[Page]:
    """A window whose console has to stay silent, also about pages that it opens."""
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        complaints: list[str] = []

        def note(message: ConsoleMessage) -> None:
            if message.type == "error":
                complaints.append(f"{message.text} {message.location['url']}")

        context.on("console", note)
        yield context.new_page()
        assert complaints == []


class Newcomer:
    """What somebody does on the site and in the mailbox."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.email = GRACE

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def ask(self, path: str, button: str) -> None:
        """Fill in the form of a page, and read the sentence that answers."""
        self.go(path)
        form = self.page.locator("main form", has=self.page.get_by_role("button", name=button))
        form.get_by_label("Email address").fill(self.email)
        form.get_by_role("button", name=button).click()
        expect(self.page.get_by_role("status").filter(has_text=CHECK_EMAIL)).to_be_visible()

    def open_mail(self, subject: str) -> None:
        """Open the newest mail with this subject in the mailbox, which shows mails as they come."""
        self.go("/mailbox/")
        self.page.locator("#mails a").filter(has_text=subject).filter(has_text=self.email).first.click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(subject)

    def press_in_mail(self, subject: str, link: str) -> Page:
        """Press a link of a mail; the window that it opens."""
        self.open_mail(subject)
        with self.page.context.expect_page() as opened:
            self.page.frame_locator("iframe").get_by_role("link", name=link).first.click()
        return opened.value

    def come_in_by_mail(self, subject: str, link: str, *, sentence: str) -> None:
        page = self.press_in_mail(subject, link)
        expect_sentence(page, sentence)
        page.close()

    def come_in_by_code(self) -> None:
        self.ask("/sign-in", "Send me a link")
        self.page.get_by_label("Or type the six digits").fill(self._newest_code())
        self.page.get_by_role("button", name="Use the code").click()
        expect_sentence(self.page, SIGNED_IN)

    def _newest_code(self) -> str:
        """From the mailbox in a second window, since the form waits in this one."""
        mailbox = self.page.context.new_page()
        mailbox.goto(f"{self.url}/mailbox/")
        subjects = mailbox.locator("#mails .subject").filter(has_text="is your code")
        expect(subjects).to_have_count(2)
        code = subjects.first.inner_text()[:6]
        mailbox.close()
        return code

    def sign_out(self) -> None:
        self.go("/account")
        self.page.locator(".account").get_by_role("button", name="Sign out").click()
        expect(self.page.locator(".account").get_by_role("link", name="Sign in")).to_be_visible()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()


def expect_sentence(page: Page, sentence: str) -> None:
    expect(page.locator("[data-newsletter-notice] p")).to_have_text(sentence)


def subscribe_and_sign_in_again(someone: Newcomer) -> None:
    someone.ask("/", "Subscribe")
    someone.come_in_by_mail("Confirm your subscription", "Confirm my subscription", sentence=SUBSCRIBED)
    someone.sign_out()
    someone.ask("/sign-in", "Send me a link")
    someone.come_in_by_mail("is your code to sign in", "Sign in to", sentence=SIGNED_IN)
    someone.sign_out()
    someone.come_in_by_code()


def pay_and_update_billing(someone: Newcomer) -> None:
    page = someone.page
    someone.go("/account")
    someone.press("Pretend to pay for a subscription")
    someone.press("Update billing")
    expect(page.locator("main")).to_contain_text("No card is asked for, and no money moves.")
    page.get_by_role("link", name="Back without saving").click()
    expect_sentence(page, NOT_UPDATED)
    someone.press("Update billing")
    someone.press("Save a new card")
    expect_sentence(page, UPDATED)
    someone.open_mail("billing")


def read_the_next_issue_and_leave(someone: Newcomer) -> None:
    someone.go("/")
    someone.press("Send the next issue")
    issue = someone.press_in_mail("Lights in the strait", "Read in your browser")
    expect(issue.locator("body")).to_contain_text("Lights in the strait")
    issue.close()
    someone.go("/")
    someone.page.get_by_role("link", name="Past issues").click()
    expect(someone.page.get_by_role("link", name="Lights in the strait")).to_be_visible()
    leaving = someone.press_in_mail("Lights in the strait", "Unsubscribe from")
    leaving.get_by_role("button").click()
    expect(leaving.locator("main")).to_contain_text("unsubscribed")
    leaving.close()
    someone.go("/account")
    expect(someone.page.locator(".facts")).to_contain_text("None.")


def sign_up(someone: Newcomer) -> None:
    someone.sign_out()
    someone.email = MARY
    someone.ask("/sign-up", "Send me a link")
    someone.come_in_by_mail("Finish signing up", "Sign up to", sentence=SIGNED_UP)


def test_a_newcomer_sees_all_six_sentences_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    port = free_port()
    with demo(tmp_path, port) as said, newcomer() as page:
        assert "a stand-in for Stripe: no money moves" in said
        someone = Newcomer(page, f"http://127.0.0.1:{port}")
        subscribe_and_sign_in_again(someone)
        pay_and_update_billing(someone)
        read_the_next_issue_and_leave(someone)
        sign_up(someone)
