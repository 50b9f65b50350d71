"""The preference page in a real browser: with and without scripts, by keyboard, on a phone, light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter_svc import palette
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from tests.e2e.chromium import chromium
from tests.e2e.service import Service
from tests.e2e.test_looking import window
from tests.e2e.test_mail_looks import TEXTS, Words
from tests.factories import make_reader

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(parts: Parts, service: Service) -> str:
    """Ada's page; she reads one newsletter of two."""
    with parts.database.transaction() as session:
        newsletters.add(session, "weekend", title="Donaudampfschiff" * 8, description="On Saturday.", now=utcnow())
        return parts.links.preferences(make_reader(session, "ada@example.org", now=utcnow()).id)


def check_look(page: Page) -> None:
    """Nothing is wider than the window, everything can be read, and a thumb finds what is to be pressed."""
    width = page.evaluate("window.innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    texts = [Words(*each) for each in page.evaluate(TEXTS) if each[0]]
    assert [words for words in texts if words.contrast < palette.READABLE] == []
    heights = "all => all.map(each => each.getBoundingClientRect().height)"
    assert min(page.locator("button:visible, select, .choice > label").evaluate_all(heights)) >= 40


def test_choices_are_saved_in_any_browser_and_the_page_says_so(browser: Browser, address: str) -> None:
    for width, scheme in ((375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")):
        with window(browser, width=width, scheme=scheme) as page:
            page.goto(f"{address}?done=saved")
            check_look(page)

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_label("Time of day").select_option("6")
    page.get_by_role("button", name="Save my choices").click()
    expect(page.get_by_role("status")).to_contain_text("Your choices are saved.")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    page.get_by_role("button", name="Pause everything").click()
    expect(page.get_by_role("status")).to_contain_text("paused")
    page.get_by_role("button", name="End the pause now").click()
    expect(page.get_by_role("status")).to_contain_text("The pause is over.")
    context.close()

    context = browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    page.get_by_role("button", name="Use this time zone").click()
    expect(page.get_by_label("Time zone")).to_be_focused()
    expect(page.locator("#proposal")).to_be_hidden()
    page.get_by_label("Briefing").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("You have left all newsletters.")
    expect(page.get_by_role("status").locator("p")).to_be_focused()
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.get_by_label("Briefing")).not_to_be_checked()
    expect(page.get_by_role("button", name="Leave all newsletters")).to_have_count(0)
    context.close()
