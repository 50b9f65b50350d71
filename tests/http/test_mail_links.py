"""Every link and picture of every mail that a reader gets: where it leads, and that something is there."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from tests.doors import AS_PROGRAM, ask
from tests.factories import make_articles, make_reader, send_now
from tests.inbox import Inbox, Received

IN_TEXT = re.compile(r"https?://[^\s<>()\"]+")


class Addresses(HTMLParser):
    """The addresses in a mail's HTML part, and the names that its links within the mail lead to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.outward: set[str] = set()
        self.inward: set[str] = set()
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.names.add(value or "")
            elif name in {"href", "src"}:
                (self.inward if (value or "").startswith("#") else self.outward).add(value or "")


def check_links(client: FlaskClient, parts: Parts, mail: Received) -> int:
    """Follow what leads to us, without pressing anything; return how many addresses those were."""
    found = Addresses(mail.html)
    assert {link.removeprefix("#") for link in found.inward} <= found.names
    ours = 0
    for address in found.outward | set(IN_TEXT.findall(mail.text)):
        url = urlsplit(address)
        assert url.scheme in {"http", "https"}, address
        assert url.hostname, address
        if address.startswith(f"{parts.settings.public_url}/"):
            ours += 1
            path = address.removeprefix(parts.settings.public_url)
            assert client.get(path).status_code == 200, f"{mail.subject}: {path}"
    return ours


def test_the_links_of_every_mail_that_a_door_causes_lead_somewhere(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    ask(client, "/subscribe", name="Ada")
    ask(client, "/signup", email="bob@example.org")
    ask(client, "/signin", email="eve@example.org")
    mails = inbox.all()
    assert all(check_links(client, parts, mail) >= 1 for mail in mails)
    assert client.post(mails[0].link, headers=AS_PROGRAM).status_code == 200
    ask(client, "/subscribe")
    ask(client, "/signin")
    later = inbox.all()[len(mails) :]
    assert all(check_links(client, parts, mail) >= 1 for mail in later)
    assert len({mail.subject for mail in (*mails, *later)}) == 4


def test_the_links_of_a_digest_lead_somewhere(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "ada@example.org", now=utcnow())
        make_articles(session, *(f"Briefing {number}" for number in range(12)), now=utcnow())
    send_now(parts)
    digest = inbox.newest()
    # The page to leave by, and the same words in a browser.
    assert check_links(client, parts, digest) >= 2
    assert "/unsubscribe/" in digest.html
    assert "/digests/" in digest.html
