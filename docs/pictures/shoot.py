"""Takes the README's pictures of a running demo: `make demo`, then `.venv/bin/python docs/pictures/shoot.py`."""

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SITE = "http://127.0.0.1:8000"
FOLDER = Path(__file__).parent


def front_page(page: Page) -> None:
    page.goto(SITE)
    page.screenshot(path=FOLDER / "front-page.png")


def digest(page: Page) -> None:
    page.goto(f"{SITE}/mailbox/")
    mail = page.get_by_role("link", name="The port that wants to be a corridor").first.get_attribute("href") or ""
    page.goto(f"{SITE}{mail.split('?')[0]}/page")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / "digest.png")


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        front_page(browser.new_page(viewport={"width": 1280, "height": 900}))
        digest(browser.new_page(viewport={"width": 700, "height": 1000}))
        browser.close()


if __name__ == "__main__":
    main()
