"""What editors and readers look at in a real browser: the preview page, the web version, the archive."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from newsletter_svc import demo
from newsletter_svc.digests.models import Digest
from newsletter_svc.parts import Parts
from tests.e2e.chromium import chromium
from tests.e2e.service import Service
from tests.e2e.test_story import is_complaint

pytestmark = pytest.mark.browser

HEADLINE = "The port that wants to be a corridor"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def window(browser: Browser, *, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
    """A window; whatever its console complains of, such as a content policy that stops something, fails the test."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    yield page
    context.close()
    assert complaints == []


def background(page: Page) -> str:
    """The colour behind the words of the mail in the frame."""
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name=HEADLINE).first).to_be_visible()
    colour: str = frame.locator(".sheet").first.evaluate("sheet => getComputedStyle(sheet).backgroundColor")
    return colour


@pytest.fixture
def address(service: Service) -> str:
    """The preview of the sample articles."""
    service.command("articles", "add", *map(str, demo.sample_files()))
    return service.command("digest", "preview", "--open").strip()


def test_the_preview_shows_the_mail_light_and_dark_whatever_the_browser_prefers(browser: Browser, address: str) -> None:
    for scheme in ("light", "dark"):
        with window(browser, scheme=scheme) as page:
            page.goto(address)
            assert background(page) == "rgb(255, 255, 255)"
            page.get_by_role("link", name="Dark").click()
            page.wait_for_url("**view=dark")
            assert background(page) not in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
            page.get_by_role("link", name="Source").click()
            expect(page.locator("pre")).to_contain_text("Content-Transfer-Encoding: quoted-printable")


def test_no_view_is_wider_than_its_window(browser: Browser, address: str) -> None:
    for width in (320, 375, 1280):
        with window(browser, width=width) as page:
            for view in ("desktop", "phone", "dark", "text", "source"):
                page.goto(f"{address}?view={view}")
                assert page.evaluate("document.documentElement.scrollWidth") == width
                assert page.locator(".tabs").evaluate("tabs => tabs.scrollWidth - tabs.clientWidth") == 0
                if view == "desktop":
                    assert page.locator("iframe").evaluate("frame => frame.clientWidth") >= 700


def test_the_web_version_shows_its_pictures_and_every_article(browser: Browser, service: Service, parts: Parts) -> None:
    service.command("articles", "add", *map(str, demo.sample_files()))
    service.command("digest", "send")
    with parts.database.reading() as session:
        public_id = session.scalars(select(Digest.public_id)).one()
    with window(browser, width=375) as page:
        # A mail names no icon, so the browser asks for one by itself.
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page.goto(parts.links.digest(public_id))
        pictures = page.locator("img.picture")
        expect(pictures.first).to_be_visible()
        assert pictures.evaluate_all("all => all.every(each => each.complete && each.naturalWidth > 0)")
        assert page.locator("h2").count() == 7
        assert page.evaluate("document.documentElement.scrollWidth") == 375
