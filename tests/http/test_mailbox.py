"""The local mailbox: what it shows, what it survives, and where it must not be."""

from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from tests.inbox import Inbox
from tests.markup import assert_sound

NAME = "20261124T073105000000Z-00000001.eml"


@pytest.fixture
def folder(settings: Settings) -> Path:
    directory = settings.mailbox_dir
    assert directory is not None
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def mail(subject: str = "Hello", *, html: str = "<html><head></head><body><p>Hi</p></body></html>") -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "The Global Diplomat <briefing@newsletter.localhost>"
    message["To"] = "ada@example.org"
    message.set_content("Read http://127.0.0.1:8000/magic-link/abc now <b>\n")
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def test_an_empty_mailbox_says_so_even_before_its_folder_is_made(client: FlaskClient) -> None:
    page = client.get("/mailbox/")
    assert page.status_code == 200
    assert "No mail yet." in page.text
    assert_sound(page.text)


def test_mails_are_listed_newest_first(client: FlaskClient, folder: Path) -> None:
    (folder / "20261124T073105000000Z-00000001.eml").write_bytes(mail("The first"))
    (folder / "20261124T073106000000Z-00000002.eml").write_bytes(mail("The “second”"))
    page = client.get("/mailbox/").text
    assert page.index("The “second”") < page.index("The first")
    assert "To ada@example.org" in page
    assert_sound(page)


def test_a_mail_that_was_really_sent_can_be_read_and_its_link_pressed(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/subscribe", json={"email": "ada@example.org"})
    sent = inbox.newest()
    listing = client.get("/mailbox/").text
    assert "To ada@example.org" in listing
    path = listing.split('href="/mailbox/', 2)[2].split('"')[0]
    assert sent.link in client.get(f"/mailbox/{path}/page").text
    assert sent.link in client.get(f"/mailbox/{path}?view=text").text


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("html", f'src="/mailbox/{NAME}/page"'),
        ("text", '<a href="http://127.0.0.1:8000/magic-link/abc"'),
        ("source", "Content-Type: multipart/alternative"),
        ("nonsense", f'src="/mailbox/{NAME}/page"'),
    ],
)
def test_a_mail_has_three_views(client: FlaskClient, folder: Path, view: str, expected: str) -> None:
    (folder / NAME).write_bytes(mail("£5 & more"))
    page = client.get(f"/mailbox/{NAME}?view={view}")
    assert page.status_code == 200
    assert expected in page.text
    assert "£5 &amp; more" in page.text
    assert_sound(page.text)


def test_text_is_never_markup(client: FlaskClient, folder: Path) -> None:
    (folder / NAME).write_bytes(mail("<script>alert(1)</script>"))
    for view in ("html", "text", "source"):
        assert "<script>alert" not in client.get(f"/mailbox/{NAME}?view={view}").text
    assert "&lt;b&gt;" in client.get(f"/mailbox/{NAME}?view=text").text


def test_the_html_part_runs_nothing_and_opens_its_links_outside(client: FlaskClient, folder: Path) -> None:
    (folder / NAME).write_bytes(mail())
    page = client.get(f"/mailbox/{NAME}/page")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'self'" in policy
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<head><base target="_blank">' in page.text


def test_nothing_keeps_the_mails_or_learns_of_them(client: FlaskClient, folder: Path) -> None:
    (folder / NAME).write_bytes(mail())
    for path in ("/mailbox/", f"/mailbox/{NAME}", f"/mailbox/{NAME}/page"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"


BROKEN = {
    "empty": b"",
    "no mail at all": b"\xff\xfe\x00\x01" * 50,
    "unknown charset": b"Subject: Odd\r\nContent-Type: text/html; charset=klingon\r\n\r\n\xff<p>hi",
    "broken encoded words": b"Subject: =?utf-8?b?////?= =?bogus?q?=ZZ?=\r\nTo: =?x?\r\nFrom: <<>>@@\r\n\r\nhi",
    "multipart without parts": b"Subject: Odd\r\nContent-Type: multipart/alternative\r\n\r\nhi",
    "broken base64": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n*&^%=",
    "surrogates": b"Subject: \xed\xa0\x80\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xed\xa0\x80",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_shown_as_far_as_it_goes_and_hides_no_other(
    client: FlaskClient, folder: Path, raw: bytes
) -> None:
    (folder / NAME).write_bytes(raw)
    (folder / "20261124T073106000000Z-00000002.eml").write_bytes(mail("The good one"))
    listing = client.get("/mailbox/")
    assert listing.status_code == 200
    assert "The good one" in listing.text
    for view in ("html", "text", "source"):
        assert client.get(f"/mailbox/{NAME}?view={view}").status_code == 200
    assert client.get(f"/mailbox/{NAME}/page").status_code == 200


def test_a_folder_or_a_draft_is_no_mail(client: FlaskClient, folder: Path) -> None:
    (folder / "folder.eml").mkdir()
    (folder / f".{NAME}.part").write_bytes(mail())
    assert "No mail yet." in client.get("/mailbox/").text
    assert client.get("/mailbox/folder.eml").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../secret_key",
        "..%2fsecret_key",
        "%2e%2e%2fsecret.eml",
        "..%5csecret.eml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "secret.eml",
        "*.eml",
        "%00.eml",
        f"{NAME}%00",
        "x" * 5_000,
    ],
)
def test_no_name_leads_out_of_the_folder(client: FlaskClient, folder: Path, name: str) -> None:
    (folder / NAME).write_bytes(mail())
    (folder.parent / "secret.eml").write_bytes(mail("secret"))
    for path in (f"/mailbox/{name}", f"/mailbox/{name}/page"):
        answer = client.get(path)
        assert answer.status_code in (308, 404)
        assert "secret" not in answer.text or answer.status_code == 308


def test_production_has_no_mailbox(settings: Settings, folder: Path) -> None:
    (folder / NAME).write_bytes(mail())
    production = create_app(replace(settings, env="production", mail_server="127.0.0.1"))
    assert "mailbox" not in production.blueprints
    client = production.test_client()
    for path in ("/mailbox/", f"/mailbox/{NAME}", f"/mailbox/{NAME}/page"):
        assert client.get(path).status_code == 404
    assert "mailbox" not in client.post("/signin", data={"email": "ada@example.org"}).text


def test_there_is_no_mailbox_where_mail_goes_to_a_server(settings: Settings) -> None:
    client = create_app(replace(settings, mail_server="127.0.0.1")).test_client()
    assert client.get("/mailbox/").status_code == 404
    assert 'href="/mailbox' not in client.get("/").text
