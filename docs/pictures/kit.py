"""Takes pictures of what the frontend kit draws, from a running service, and lays them out on docs/pictures/kit.png.

Run it as `PYTHONPATH=. python docs/pictures/kit.py FOLDER`; each picture goes to FOLDER.
"""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect

from newsletter_svc import migrations
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.subscribers import newsletters
from newsletter_svc.words import shipped
from tests.e2e.frontends import Frontends, frontends

HERE = Path(__file__).parent
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (375, 1280)
PAGE_STYLE = """
body { margin: 0; font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif; }
main, header { max-width: 34rem; margin: 0 auto; padding: 0 1rem; }
h1 { font: 700 1.75rem/1.2 Georgia, "DejaVu Serif", serif; }
form { margin: 0 0 1.5rem; }
label { display: block; font-weight: 600; }
form p { margin: 0 0 0.75rem; }
input { box-sizing: border-box; width: 100%; font: inherit; padding: 0.5rem; }
button { font: inherit; padding: 0.5rem 1rem; }
"""
SUBSCRIBE = '[data-newsletter="subscribe"]'


def wrong_field(page: Page) -> None:
    page.locator("#subscribe-email").fill("ada@localhost")
    page.locator(f"{SUBSCRIBE} button").click()
    expect(page.locator(".newsletter-field-error")).to_be_visible()


def code(page: Page) -> None:
    page.locator("#subscribe-email").fill("ada@example.org")
    page.locator(f"{SUBSCRIBE} button").click()
    expect(page.locator("[name=code]")).to_be_focused()


def good_news(page: Page) -> None:
    page.goto(f"{page.url}?action=subscribe&success=true")
    expect(page.locator(".newsletter-notice p")).not_to_be_empty()


def dead_link(page: Page) -> None:
    page.goto(f"{page.url}?action=signin&success=false")
    expect(page.locator(".newsletter-notice p")).not_to_be_empty()


def dead_link_alone(page: Page) -> None:
    page.goto(f"{page.url.replace('/kit', '/welcome')}?action=signin&success=false")
    expect(page.locator(".newsletter-notice input")).to_be_visible()


STATES = (wrong_field, code, good_news, dead_link, dead_link_alone)


def shoot(site: Frontends, folder: Path) -> None:
    for scheme in SCHEMES:
        for width in WIDTHS:
            for state in STATES:
                with site.window(color_scheme=scheme, viewport={"width": width, "height": 560}) as page:
                    page.goto(f"{site.sister.url}/kit")
                    state(page)
                    page.screenshot(path=folder / f"{state.__name__}-{width}-{scheme}.png")


def sheet(site: Frontends, folder: Path) -> None:
    """The phones in two rows, light above dark."""
    shown = (wrong_field, code, good_news, dead_link_alone)
    names = [f"{state.__name__}-375-{scheme}.png" for scheme in SCHEMES for state in shown]
    style = (
        "body{margin:12px;background:#bbb;display:grid;grid-template-columns:repeat(4,281px);gap:12px}img{width:281px}"
    )
    figures = "".join(f'<img src="{(folder / name).as_uri()}">' for name in names)
    (folder / "sheet.html").write_text(f"<!doctype html><style>{style}</style>{figures}", encoding="utf-8")
    page = site.browser.new_page(viewport={"width": 1184, "height": 860})
    page.goto((folder / "sheet.html").as_uri())
    page.screenshot(path=HERE / "kit.png", full_page=True)


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as var:
        database = Database(f"sqlite:///{var}/pictures.db")
        migrations.upgrade(database)
        with database.transaction() as session:
            newsletters.ensure_default(session, words=shipped(), now=utcnow())
        with frontends(f"sqlite:///{var}/pictures.db", Path(var)) as site:
            site.sister.pages["/colours.css"] = PAGE_STYLE
            styles = f'<link rel="stylesheet" href="{site.service.url}/static/kit/1/newsletter.css">'
            styles += '<link rel="stylesheet" href="/colours.css"><meta name="color-scheme" content="light dark">'
            site.sister.pages["/welcome"] = site.sister.pages["/welcome"].replace("<title>", f"{styles}<title>")
            shoot(site, folder)
            sheet(site, folder)


if __name__ == "__main__":
    main()
