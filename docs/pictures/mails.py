"""Takes pictures of every mail as different mail programs show it, and lays some of them out on a contact sheet.

Run it as `python docs/pictures/mails.py FOLDER`: the pictures go to FOLDER, the sheet to docs/pictures/mails.png.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Playwright, Route, sync_playwright

from newsletter_svc import demo, migrations, samples
from newsletter_svc.articles import importing, store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.db import Database
from newsletter_svc.digests import content, editions, preview
from newsletter_svc.digests.content import SLOTS
from newsletter_svc.digests.issues import Press
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.tokens import Keyring
from newsletter_svc.words import shipped

HERE = Path(__file__).parent
MEDIA = HERE.parents[1] / "src/newsletter_svc/web/static/media"
SITE = "https://www.example.org"
NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
LONG = "Ministers agree to go on talking about the conditions under which they would agree to talk about conditions, "
SETTINGS = Settings(
    secret_keys=("a key that signs nothing",),
    public_url=SITE,
    frontend_url=SITE,
    mail_default_sender="briefing@example.org",
)
ARABIC = ArticleDraft(
    title="الميناء الذي يريد أن يكون ممرّاً",
    body="وقّعت عشر حكومات ساحلية اتفاقاً جمركياً يوم الجمعة.\n\n- الموانئ الشمالية\n- الموانئ الجنوبية\n\n> الممرّ وعد.",
    url="/articles/mamarr",
    author="ماريت سولهايم",
    summary="اتفقت عشر دول على تفتيش الحاويات مرة واحدة بدلاً من عشر مرات.",
    image="/media/port-corridor.jpg",
    image_alt="ثلاث رافعات على رصيف.",
)
RUSSIAN = ArticleDraft(
    title="Порт, который хочет стать коридором",
    body="Десять прибрежных стран подписали в пятницу соглашение.\n\n> Коридор — это обещание «десяти дверей».",
    url="/articles/koridor",
    author="Марит Сульхейм",
    summary="Десять стран договорились осматривать контейнеры один раз вместо десяти.",
    image="/media/port-corridor.jpg",
    image_alt="Три крана у причала.",
)
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 80"><g fill="#00332d"><circle cx="40" cy="40" r="34"/>'
    '<text x="90" y="52" font-family="serif" font-size="36">The Diplomat</text></g></svg>'
)
"""Dark on nothing, which is what a dark scheme would swallow."""
Mode = Literal["light", "dark", "no pictures", "no styles", "inverted"]
DARK_BY_THE_MAIL = re.compile(
    r'<style.*?</style>|<meta name="[a-z-]*color-schemes?"[^>]*>|(?:supported-)?color-schemes?:[^;]*;', re.DOTALL
)
WIDTHS = (320, 375, 700)
MODES: tuple[Mode, ...] = ("light", "dark", "no pictures", "no styles", "inverted")
ON_THE_SHEET = (
    ("digest", 700, "light"), ("digest", 700, "dark"), ("digest", 375, "light"), ("digest", 375, "dark"),
    ("digest", 320, "no pictures"), ("digest", 375, "no styles"), ("digest", 375, "inverted"),
    ("one bare article", 375, "light"), ("odd articles", 375, "light"), ("arabic", 375, "light"),
    ("odd articles", 320, "no styles"), ("russian", 375, "dark"),
    ("branded", 375, "light"), ("branded", 375, "dark"), ("welcome", 700, "light"),
    ("sign_in", 375, "light"), ("sign_in", 375, "dark"),
    ("sign_up", 375, "light"), ("confirm_subscription", 375, "light"), ("already_subscribed", 375, "light"),
    ("confirm_address", 375, "light"), ("address_changed", 375, "light"),
    ("billing_updated", 375, "light"), ("alert", 375, "dark"),
)  # fmt: skip
ENDS_ON_THE_SHEET = (
    ("digest", 700, "light"), ("digest", 375, "dark"), ("odd articles", 375, "light"), ("forty articles", 375, "light"),
    ("odd articles", 320, "no styles"),
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    mail: str
    width: int
    mode: Mode

    @property
    def file(self) -> str:
        return f"{self.mail}-{self.width}-{self.mode}.png".replace(" ", "_")


def mails() -> dict[str, str]:
    """The HTML part of each mail by the name it has on the sheet."""
    composer = Composer(SETTINGS)
    kinds = {kind: sample for kind, sample in samples.samples().items() if kind != content.KIND}
    drafts = importing.read_files(demo.sample_files()).drafts
    arabic = replace(SETTINGS, language="ar", publication_name="الدبلوماسي العالمي")
    russian = replace(SETTINGS, language="ru", publication_name="Всемирный дипломат")
    brand = replace(
        SETTINGS, brand_color="#00594f", logo_url=f"{SITE}/media/logo.png", tagline="What they said, and what they did."
    )
    return {
        "digest": issue(SETTINGS, drafts),
        "one bare article": issue(SETTINGS, [ArticleDraft(title="A note", body="There is **one** thing to say.")]),
        "odd articles": issue(SETTINGS, odd(drafts)),
        "arabic": issue(arabic, [replace(ARABIC, title=f"{ARABIC.title} {n}", url=f"/{n}") for n in range(1, 8)]),
        "russian": issue(russian, [replace(RUSSIAN, title=f"{RUSSIAN.title} {n}", url=f"/{n}") for n in range(1, 8)]),
        "forty articles": issue(
            SETTINGS, [replace(drafts[n % 7], title=f"{n}. Title", url=f"/{n}") for n in range(40)]
        ),
        "branded": issue(brand, drafts[1:4]),
        **{kind: composer.render(kind, sample.context).html for kind, sample in kinds.items()},
    }


def odd(drafts: tuple[ArticleDraft, ...]) -> list[ArticleDraft]:
    """Twelve articles: too long, too short, without this or that."""
    long = replace(drafts[0], title=(LONG * 3)[:300], summary=LONG * 4, author="Maximiliane von und zu " * 6)
    bare = [ArticleDraft(title=f"Bare {number}", body=LONG, url=f"/bare/{number}") for number in range(3)]
    word = ArticleDraft(title="Donaudampfschifffahrtsgesellschaftskapitänsmütze" * 3, body=LONG, url="/word")
    unlinked = replace(drafts[2], url=None, image=None)
    return [
        long,
        word,
        *bare,
        unlinked,
        replace(ARABIC),
        replace(long, url="/long/2", title=long.title[1:]),
        *drafts[3:7],
    ]


def issue(settings: Settings, drafts: list[ArticleDraft] | tuple[ArticleDraft, ...]) -> str:
    """These articles as one reader gets them."""
    composer = Composer(settings)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/pictures.db")
        migrations.upgrade(database)
        with database.transaction() as session:
            newsletters.ensure_default(session, words=shipped(), now=NOW)
            briefing = newsletters.get(session, newsletters.DEFAULT_SLUG)
            store.add(session, drafts, newsletter_id=briefing.id, base_url=SITE, now=NOW)
            editions.edition_of(session, briefing.id, tz=settings.timezone, now=NOW)
            links = Links(settings, Keyring(settings.secret_keys, environment=settings.env))
            press = Press(composer, "example.org", links)
            made = preview.upcoming(session, briefing, tz=settings.timezone, press=press, now=NOW)
        database.dispose()
    return composer.fill(made.rendered, dict.fromkeys(SLOTS, f"{SITE}/unsubscribe/x")).html if made else ""


def shown(html: str, mode: Mode) -> str:
    """What is left of a mail in a program of this kind."""
    if mode in ("no styles", "inverted"):
        # Programs that invert by themselves do not look at what a mail says of dark colours.
        html = re.sub(
            r"<style.*?</style>|<meta name=\"[a-z-]*color-schemes?\"[^>]*>|color-scheme:[^;]*;", "", html, flags=re.S
        )
    return re.sub(r' (style|bgcolor)="[^"]*"', "", html) if mode == "no styles" else html


def serve(mode: Mode) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        picture = MEDIA / Path(route.request.url).name
        if mode != "no pictures" and picture.name == "logo.png":
            route.fulfill(body=LOGO, content_type="image/svg+xml")
        elif mode != "no pictures" and picture.is_file():
            route.fulfill(path=picture)
        else:
            route.abort()

    return answer


@contextmanager
def browsers(playwright: Playwright) -> Iterator[Mapping[Mode, Browser]]:
    def launch(*more: str) -> Browser:
        return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", *more])

    plain, inverting = launch(), launch("--blink-settings=forceDarkModeEnabled=true")
    yield {**dict.fromkeys(MODES, plain), "inverted": inverting}
    plain.close()
    inverting.close()


def shoot(browser: Browser, html: str, shot: Shot, folder: Path) -> None:
    scheme = "dark" if shot.mode == "dark" else "light"
    context = browser.new_context(viewport={"width": shot.width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.route("**/*", serve(shot.mode))
    page.set_content(shown(html, shot.mode), wait_until="load")
    too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if too_wide > 0:
        print(f"{shot.file}: {too_wide} pixels too wide", file=sys.stderr)
    page.screenshot(path=folder / shot.file, full_page=True)
    context.close()


def contact_sheet(browser: Browser, folder: Path) -> None:
    """The beginning or the end of each picture, side by side."""
    figures = "".join(_figure(Shot(*each), folder) for each in ON_THE_SHEET)
    figures += "".join(_figure(Shot(*each), folder, side="end") for each in ENDS_ON_THE_SHEET)
    style = (
        "body{margin:16px;background:#e4e4e4;font:12px sans-serif;display:flex;flex-wrap:wrap;gap:14px}"
        "figure{margin:0}div{height:480px;overflow:hidden;display:flex}img{width:100%}figcaption{padding:4px 0}"
    )
    sheet = folder / "sheet.html"
    sheet.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style>{figures}", encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(sheet.as_uri(), wait_until="load")
    page.screenshot(path=HERE / "mails.png", full_page=True)


def _figure(shot: Shot, folder: Path, *, side: Literal["start", "end"] = "start") -> str:
    name = f"{shot.mail.replace('_', ' ')}, {shot.width} px, {shot.mode}{', its end' if side == 'end' else ''}"
    return (
        f'<figure style="width:{round(shot.width * 0.4)}px"><div style="align-items:{side}">'
        f'<img src="{(folder / shot.file).as_uri()}"></div>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    wanted = sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, browsers(playwright) as browser_for:
        for mail, html in mails().items():
            for shot in (Shot(mail, width, mode) for width in WIDTHS for mode in MODES):
                if not wanted or mail in wanted:
                    shoot(browser_for[shot.mode], html, shot, folder)
        contact_sheet(browser_for["light"], folder)


if __name__ == "__main__":
    main()
