"""A reader's story in a real browser: subscribe, open the mail, come in, leave, and receive the digest."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from newsletter_svc import demo
from tests.e2e.chromium import chromium
from tests.e2e.service import Service, magic_link
from tests.fakes.smtp import Sink
from tests.wire import check_one_click, check_transactional, check_wire

CHECK_EMAIL = "Success! Check your email for magic link to sign-in."
SUBSCRIBED = "You've successfully subscribed to The Global Diplomat."
SIGNED_IN = "Welcome back! You've successfully signed in."
SIGNED_UP = "Great! You’ve successfully signed up."
ADA = "ada@example.org"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def reader(browser: Browser, *, scripts: bool = True) -> Iterator[Page]:
    """A browser window of somebody who was never here; whatever its console complains of fails the test."""
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": 375, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def is_complaint(message: ConsoleMessage) -> bool:
    """Whether a page did something wrong; that a used link is answered with 410 is no fault of it."""
    return message.type == "error" and "status of 410" not in message.text


def subscribe(page: Page, service: Service) -> None:
    page.goto(service.url)
    panel = page.locator("#subscribe")
    panel.get_by_label("Email address").fill(ADA)
    panel.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("status").filter(has_text=CHECK_EMAIL)).to_be_visible()


def expect_sentence(page: Page, sentence: str) -> None:
    """The notification bar says exactly this."""
    expect(page.locator("[data-newsletter-notice] p")).to_have_text(sentence)


def sign_out(page: Page) -> None:
    expect(page.locator(".account")).to_contain_text(ADA)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".account").get_by_role("link", name="Sign in")).to_be_visible()


def receive_the_digest(service: Service, sink: Sink, *, after: int) -> None:
    """Add articles and send an issue as an editor would, and read it as the reader does."""
    service.command("articles", "add", *map(str, demo.sample_files()))
    assert "with 7 articles, for 1 reader" in service.command("digest", "send")
    mail = sink.wait_for(after + 1)[-1]
    assert mail.recipients == (ADA,)
    check_wire(mail.raw)
    unsubscribe = check_one_click(mail.raw)
    for part in ("plain", "html"):
        assert "The port that wants to be a corridor" in mail.part(part)
        assert unsubscribe in mail.part(part)


def test_subscribing_signing_out_and_receiving_the_digest(browser: Browser, service: Service, sink: Sink) -> None:
    with reader(browser) as page:
        subscribe(page, service)
        [mail] = sink.wait_for(1)
        check_wire(mail.raw)
        check_transactional(mail.raw)
        page.goto(magic_link(mail))
        expect_sentence(page, SUBSCRIBED)
        expect(page.locator("#subscribe")).to_contain_text("You receive the briefing")
        sign_out(page)
    receive_the_digest(service, sink, after=1)


def test_the_whole_story_needs_no_scripts(browser: Browser, service: Service, sink: Sink) -> None:
    with reader(browser, scripts=False) as page:
        page.goto(service.url)
        page.locator("#subscribe").get_by_label("Email address").fill(ADA)
        page.locator("#subscribe").get_by_role("button", name="Subscribe").click()
        expect(page.locator("main")).to_contain_text(CHECK_EMAIL)
        page.goto(magic_link(sink.wait_for(1)[0]))
        page.get_by_role("button", name="Confirm subscription").click()
        expect_sentence(page, SUBSCRIBED)
        sign_out(page)
    receive_the_digest(service, sink, after=1)


def test_a_link_opened_in_another_browser_waits_for_a_press(browser: Browser, service: Service, sink: Sink) -> None:
    with reader(browser) as asking, reader(browser) as other:
        subscribe(asking, service)
        other.goto(magic_link(sink.wait_for(1)[0]))
        button = other.get_by_role("button", name="Confirm subscription")
        expect(button).to_be_visible()
        assert service.ask("GET", "/session").json["signed_in"] is False
        button.click()
        expect_sentence(other, SUBSCRIBED)


def test_a_new_reader_signs_up_and_comes_back_by_the_code(browser: Browser, service: Service, sink: Sink) -> None:
    with reader(browser) as page:
        page.goto(f"{service.url}/sign-up")
        page.get_by_label("Email address").fill(ADA)
        page.get_by_role("button", name="Send me a link").click()
        expect(page.get_by_role("status").filter(has_text=CHECK_EMAIL)).to_be_visible()
        page.goto(magic_link(sink.wait_for(1)[0]))
        expect_sentence(page, SIGNED_UP)
        sign_out(page)
        page.goto(f"{service.url}/sign-in")
        page.get_by_label("Email address").fill(ADA)
        page.get_by_role("button", name="Send me a link").click()
        page.get_by_label("Or type the six digits from the email").fill(one_time_code(sink))
        page.get_by_role("button", name="Use the code").click()
        expect_sentence(page, SIGNED_IN)


def one_time_code(sink: Sink) -> str:
    """The six digits that stand alone on their line of the second mail."""
    lines = sink.wait_for(2)[-1].part("plain").splitlines()
    [code] = [line.strip() for line in lines if line.strip().isdigit() and len(line.strip()) == 6]
    return code


def test_a_used_link_says_so_and_sends_a_new_one(browser: Browser, service: Service, sink: Sink) -> None:
    with reader(browser) as page:
        subscribe(page, service)
        link = magic_link(sink.wait_for(1)[0])
        page.goto(link)
        expect_sentence(page, SUBSCRIBED)
    with reader(browser, scripts=False) as stranger:
        stranger.goto(link)
        stranger.get_by_role("button", name="Send me a new link").click()
        expect(stranger.locator("main")).to_contain_text(CHECK_EMAIL)
    assert sink.wait_for(2)[-1].recipients == (ADA,)
