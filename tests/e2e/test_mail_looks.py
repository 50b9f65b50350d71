"""Every mail in a browser: whether its text can be read in light and dark, and whether it keeps to a phone's width."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

from newsletter_svc import palette
from newsletter_svc.articles.models import Article
from newsletter_svc.articles.plain_text import text_from_markdown
from newsletter_svc.articles.sanitising import html_from_markdown
from newsletter_svc.digests import content
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.mail.compose import Composer
from newsletter_svc.settings import Settings
from tests.e2e.chromium import chromium
from tests.fakes.smtp import Received
from tests.mails import KINDS, NOW, SETTINGS, outgoing

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
BRANDED = replace(
    SETTINGS, brand_color="#00594f", button_color="#ffd400", tagline="What they said.", footer_text="No. 1"
)
ARABIC = replace(SETTINGS, language="ar")
PROGRAMS = {"ours": SETTINGS, "branded": BRANDED, "from right to left": ARABIC}
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmütze" * 6
PICTURE = Path(__file__).parents[2] / "src/newsletter_svc/web/static/media/mountain-pass.jpg"
ODD_BODY = f"""{LONG} and `{"code" * 20}`.

> A quotation with a picture ![A port.](https://x.example/a.jpg)
>
> - and a list in it, {LONG}

- A list with a picture ![A port.](https://x.example/b.jpg)

| one | two | three |
| --- | --- | ----- |
| {"Word" * 20} | 2 | {"x" * 40} |

```
def a_long_line(of_code, with_many_arguments, and_another_one): return of_code + with_many_arguments + and_another_one
```

<img src="https://x.example/c.jpg" width="300" height="200" alt="{LONG}">

## {LONG}

<https://www.example.org/{"path" * 60}>
"""
TEXTS = """() => {
  const visible = (element) => element.checkVisibility({checkOpacity: true}) && element.getClientRects().length > 0;
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !visible(element)) continue;
    const style = getComputedStyle(element);
    found.push([walker.currentNode.data.trim(), style.color, behind(element),
                parseFloat(style.fontSize), parseFloat(style.lineHeight)]);
  }
  return found;
}"""
TARGETS = """() => [...document.querySelectorAll("a.target, .button a, .headline a, .brief a")]
  .map((link) => [link.textContent, link.getBoundingClientRect().height])"""


@dataclass(frozen=True)
class Words:
    """A piece of text as it is shown."""

    text: str
    colour: str
    behind: str
    size: float
    line: float

    @property
    def contrast(self) -> float:
        return palette.contrast(hexadecimal(self.colour), hexadecimal(self.behind))


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The window that all mails are shown in, one after the other; it fetches nothing."""
    with chromium() as browser:
        page = browser.new_page()
        page.route("**/*", lambda route: route.abort())
        yield page


def show(page: Page, html: str, *, width: int, scheme: Scheme = "light") -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.set_content(html, wait_until="domcontentloaded")


@cache
def html_of(kind: str, settings: Settings = SETTINGS, text: str | None = None) -> str:
    return Received("", (), (), outgoing(kind, text, settings=settings).content, None).part("html")


@contextmanager
def pictures(page: Page) -> Iterator[None]:
    """Every picture that a mail asks for is there."""
    page.route("**/*.jpg", lambda route: route.fulfill(path=PICTURE))
    yield
    page.unroute("**/*.jpg")


def without_styles(html: str) -> str:
    return re.sub(r"<style.*?</style>|\sstyle=\"[^\"]*\"", "", html, flags=re.DOTALL)


def hexadecimal(colour: str) -> str:
    """`rgb(156, 58, 28)` as `#9c3a1c`; a colour that shines through would be no colour that can be judged."""
    channels = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert channels is not None, f"{colour} is not one opaque colour"
    return "#" + "".join(f"{int(channel):02x}" for channel in channels.groups())


@pytest.mark.parametrize("settings", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_text_can_be_read(page: Page, kind: str, scheme: Scheme, settings: Settings) -> None:
    show(page, html_of(kind, settings), width=375, scheme=scheme)
    texts = [Words(*each) for each in page.evaluate(TEXTS)]
    assert len(texts) > 5
    is_dark = palette.luminance(hexadecimal(texts[0].behind)) < 0.2
    assert is_dark == (scheme == "dark")
    for words in texts:
        assert words.contrast >= palette.READABLE, words
        assert words.size >= 14, words
        # Headings stand closer; what is read for long has room between its lines.
        assert words.line >= (1.15 if words.size > 20 else 1.25 if words.size > 17 else 1.4) * words.size - 0.1, words


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_program_that_drops_the_style_sheet_still_shows_text_that_can_be_read(page: Page, kind: str) -> None:
    html = re.sub(r"<style.*?</style>", "", html_of(kind), flags=re.DOTALL)
    show(page, html, width=375)
    texts = [Words(*each) for each in page.evaluate(TEXTS)]
    assert min(words.contrast for words in texts) >= palette.READABLE


@pytest.mark.parametrize("text", [None, LONG], ids=["plain", "long"])
@pytest.mark.parametrize("width", [320, 375, 700])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_keeps_to_the_width_of_its_screen(page: Page, kind: str, width: int, text: str | None) -> None:
    show(page, html_of(kind, text=text), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for words, height in page.evaluate(TARGETS):
        assert height >= 44, words


def test_a_mail_keeps_to_the_width_of_a_phone_also_where_its_styles_are_left_out(page: Page) -> None:
    for kind, text in product(KINDS, (None, LONG)):
        show(page, without_styles(html_of(kind, text=text)), width=375)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, kind
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind


def test_neither_code_nor_tables_nor_quoted_pictures_of_an_article_widen_a_mail(page: Page) -> None:
    base = "https://www.example.org"
    article = Article(
        title="Odd",
        published_at=NOW,
        body_html=html_from_markdown(ODD_BODY, base_url=base),
        body_text=text_from_markdown(ODD_BODY, base_url=base),
    )
    entry = content.entry_of(article, tz="Europe/London")
    context = content.issue_context([entry], newsletter="Odd", day=NOW.date(), frequency=Frequency.DAILY)
    html = Composer(SETTINGS).render(content.KIND, {**context, **dict.fromkeys(content.SLOTS, base)}).html
    for has_pictures, shown, width in product((True, False), (html, without_styles(html)), (320, 375, 700)):
        with pictures(page) if has_pictures else nullcontext():
            show(page, shown, width=width)
            page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (has_pictures, shown == html)


def test_styles_make_up_for_what_is_narrow_without_them(page: Page) -> None:
    """Pictures are as wide as they were meant to be, and no word breaks where it would only without styles."""
    show(page, html_of(content.KIND, text=LONG), width=700)
    widths = page.locator("img").evaluate_all("pictures => pictures.map((picture) => picture.width)")
    assert {round(width, -1) for width in widths} == {520, 140}
    assert page.locator("wbr").count() > 10
    assert page.locator("wbr").first.evaluate("wbr => getComputedStyle(wbr).display") == "none"


def test_a_story_in_another_script_runs_in_its_own_direction(page: Page) -> None:
    for settings in (SETTINGS, ARABIC):
        show(page, html_of(content.KIND, settings), width=375)
        story = page.locator(".story").first
        assert story.evaluate("story => getComputedStyle(story).direction") == "ltr"
        story.evaluate("story => { story.innerHTML = '<p>وقعت عشر حكومات</p>' }")
        assert story.evaluate("story => getComputedStyle(story).direction") == "rtl"
