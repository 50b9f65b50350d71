"""One running service, with pages of four origins before it that are made of the examples of the guide."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page
from sqlalchemy.orm import Session

from newsletter_svc.billing import customers
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.subscribers import newsletters, people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.web import kit
from tests import guide
from tests.conftest import KEY
from tests.e2e.chromium import chromium
from tests.e2e.house import WITHOUT_LIMITS
from tests.e2e.service import Service, free_port, magic_link, running
from tests.fakes.frontend import Frontend
from tests.fakes.smtp import Received, Sink
from tests.fakes.stripe import SECRET_KEY, StripeStandIn

PLAIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>
<main><h1>A page</h1>{body}</main>{end}"""
PLACE = '<div class="newsletter-notice" id="place" data-newsletter-notice hidden></div>'
FORM = '<form data-newsletter="signin"><input name="email" type="email" aria-label="Email"><button>Go</button></form>'
COPY = """<script src="/newsletter.js" data-service="{service}" data-notice="off" data-unreachable="Gone fishing."
defer></script>"""
KIT = '<script src="{service}/static/kit/1/newsletter.js" defer></script>'


@dataclass
class Frontends:
    """The service, and who stands before it."""

    service: Service
    browser: Browser
    sink: Sink
    stripe: StripeStandIn
    sister: Frontend
    """Another origin of the same site; FRONTEND_URL."""
    abroad: Frontend
    """Another site, listed."""
    stranger: Frontend
    """An origin that is not listed."""
    mails: int = 0

    def next_mail(self) -> Received:
        """The mail that nobody has looked at yet."""
        self.mails += 1
        return self.sink.wait_for(self.mails)[self.mails - 1]

    def next_link(self) -> str:
        return magic_link(self.next_mail())

    def next_code(self) -> str:
        """The six digits that stand alone on their line."""
        [code] = re.findall(r"^\s*(\d{6})\s*$", self.next_mail().part("plain"), re.MULTILINE)
        return str(code)

    def add_customer(self, email: str) -> None:
        """Say who this reader is at Stripe."""
        with changing(self.service.environ["DATABASE_URL"]) as session:
            reader = people.find(session, parse(email))
            assert reader is not None
            customers.link(session, reader.id, self.stripe.account.add_customer(), now=utcnow())

    @contextmanager
    def window(self, *, expected: tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
        """A browser that was never here. What its console says fails the test, but for what begins as `expected` does.

        Refusals of the service are no fault of a page; what its content policy stops is.
        """
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = context.new_page()
        page.set_default_timeout(10_000)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
        context.close()
        assert [text for text in said if not text.startswith(expected or ("\0",))] == []
        assert all(any(text.startswith(each) for text in said) for each in expected), said


@contextmanager
def changing(database_url: str) -> Iterator[Session]:
    """A transaction beside the service."""
    database = Database(database_url)
    with database.transaction() as session:
        yield session
    database.dispose()


def is_complaint(message: ConsoleMessage) -> bool:
    is_refusal = message.text.startswith("Failed to load resource: the server responded with a status of 4")
    return message.type in ("error", "warning") and not is_refusal


@contextmanager
def frontends(database_url: str, folder: Path) -> Iterator[Frontends]:
    with ExitStack() as stack:
        sink, stripe = stack.enter_context(Sink()), stack.enter_context(StripeStandIn())
        sister, stranger = stack.enter_context(Frontend()), stack.enter_context(Frontend())
        abroad = stack.enter_context(Frontend("127.0.0.2"))
        port = free_port()
        environ = {
            "DATABASE_URL": database_url,
            "SECRET_KEYS": KEY,
            "FRONTEND_URL": sister.url,
            "FRONTEND_ORIGINS": f"http://127.0.0.1:{port},{sister.url},{abroad.url}",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(sink.port),
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_API_BASE": stripe.url,
            **WITHOUT_LIMITS,
        }
        service = stack.enter_context(running(folder, port, **environ))
        with changing(database_url) as session:
            newsletters.add(session, "weekly-threads", title="Weekly Threads", now=utcnow())
        for frontend in (sister, abroad, stranger):
            furnish(frontend, service.url)
        yield Frontends(service, stack.enter_context(chromium()), sink, stripe, sister, abroad, stranger)


def furnish(frontend: Frontend, service: str) -> None:
    """Give a frontend one page for each example, and its content policy."""
    examples = guide.examples(service)
    frontend.policy = examples["policy", "text"].strip()
    colours = '<link rel="stylesheet" href="/colours.css">'
    script = '<script src="/fetch.js"></script>'
    frontend.pages = {
        "/": PLAIN_PAGE.format(body="", end=KIT.format(service=service)),
        "/welcome": PLAIN_PAGE.format(body=PLACE + "<p>Welcome.</p>", end=KIT.format(service=service)),
        "/plain": PLAIN_PAGE.format(body=examples["plain", "html"], end=""),
        "/fetch": PLAIN_PAGE.format(body=examples["fetch", "html"], end=script),
        "/fetch.js": examples["fetch", "js"],
        "/kit": examples["kit", "html"].replace("</head>", f"{colours}</head>"),
        "/colours.css": examples["colours", "css"],
        "/theme": examples["theme", "html"],
        "/copy": PLAIN_PAGE.format(body=FORM, end=COPY.format(service=service)),
        "/newsletter.js": (kit.FOLDER / str(kit.LATEST) / "newsletter.js").read_text(encoding="utf-8"),
        "/thanks": PLAIN_PAGE.format(body="<p>Thank you.</p>", end=KIT.format(service=service)),
        "/as-before": PLAIN_PAGE.format(body="<p>As before.</p>", end=KIT.format(service=service)),
    }
