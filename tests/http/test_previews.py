"""Looking at an issue before it goes out: the page behind a signed address, and the same for programs with a key."""

from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from newsletter_svc.auth import api_keys
from newsletter_svc.clock import utcnow
from newsletter_svc.digests.runs import send_now
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters
from newsletter_svc.tokens import Purpose
from tests.factories import make_articles
from tests.inbox import Inbox

NOW = utcnow()


@pytest.fixture
def address(parts: Parts) -> str:
    """The path of a preview of the next issue, which has one article."""
    with parts.database.transaction() as session:
        make_articles(session, "The “Quiet” Budget", now=NOW)
    return path_of(parts)


def path_of(parts: Parts, *, digest_id: int | None = None, lives: timedelta = timedelta(hours=1)) -> str:
    url = parts.links.preview(digest_id=digest_id, newsletter_id=1, until=utcnow() + lives)
    return url.removeprefix(parts.settings.public_url)


def publish(parts: Parts) -> int:
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, "briefing")
        run = send_now(session, newsletter, tz="Europe/London", press=parts.press, now=NOW)
    assert run.digest_id is not None
    return run.digest_id


def key_for(parts: Parts, *scopes: str) -> dict[str, str]:
    with parts.database.transaction() as session:
        _, secret = api_keys.create(session, scopes, now=NOW)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("view", ["desktop", "phone", "dark"])
def test_the_page_shows_the_mail_in_a_frame_that_can_do_nothing(client: FlaskClient, address: str, view: str) -> None:
    page = client.get(f"{address}?view={view}")
    mail = client.get(f"{address}/mail?scheme=light")

    assert page.status_code == 200
    assert f'<iframe src="{address}/mail?scheme={"dark" if view == "dark" else "light"}"' in page.text
    assert "What the checks say" in page.text
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert mail.headers["Content-Security-Policy"].startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
    assert mail.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Ports get £40 million" in mail.text


def test_light_and_dark_are_shown_whatever_the_browser_prefers(client: FlaskClient, address: str) -> None:
    light, dark = client.get(f"{address}/mail?scheme=light").text, client.get(f"{address}/mail?scheme=dark").text

    assert "prefers-color-scheme" not in light + dark
    assert "@media not all" in light
    assert "@media all" in dark
    assert '<meta name="color-scheme" content="dark"' in dark


def test_text_and_source_are_shown_as_they_are(client: FlaskClient, address: str) -> None:
    text = client.get(f"{address}?view=text").text
    assert '<pre class="plain" lang="en-GB" dir="ltr"' in text
    assert "Ports get £40 million" in text
    source = client.get(f"{address}?view=source").text
    assert "Content-Transfer-Encoding: quoted-printable" in source
    assert "List-Unsubscribe: &lt;http" in source


def test_an_unknown_view_is_the_first_one(client: FlaskClient, address: str) -> None:
    assert "<iframe" in client.get(f"{address}?view=nonsense").text


def test_looking_stores_nothing_and_what_was_made_is_shown_as_it_was(
    parts: Parts, client: FlaskClient, address: str
) -> None:
    client.get(address)
    digest_id = publish(parts)

    assert "The “Quiet” Budget" in client.get(path_of(parts, digest_id=digest_id)).text
    gone = client.get(address)
    assert gone.status_code == 410
    assert "newsletter digest preview --open" in gone.text


def test_the_address_is_good_for_its_time_and_for_nothing_else(parts: Parts, client: FlaskClient, address: str) -> None:
    token = address.removeprefix("/preview/")
    late = client.get(path_of(parts, lives=-timedelta(seconds=1)), headers={"Accept": "application/json"})

    assert late.status_code == 410
    assert late.get_json()["code"] == "preview_over"
    assert client.get(f"/unsubscribe/{token}").status_code == 404
    assert client.get(f"/magic-link/{token}").status_code in (404, 410)
    other = parts.keyring.issue(Purpose.UNSUBSCRIBE, [None, 1, 2**40])
    assert client.get(f"/preview/{other}").status_code == 404
    assert client.get(f"/preview/{token}x").status_code == 404


def test_the_links_of_a_copy_say_that_they_are_nobodys(parts: Parts, client: FlaskClient, address: str) -> None:
    text = client.get("/api/digests/next/preview.txt", headers=key_for(parts, "digests:read")).text
    assert text.count(parts.links.nobodys()) == 3

    looked = client.get("/preview/link")
    pressed = client.post("/preview/link", data={"List-Unsubscribe": "One-Click"})

    assert (looked.status_code, pressed.status_code) == (200, 200)
    assert "Nothing has changed." in looked.text


@pytest.mark.parametrize(
    "payload", [[], [None, 1], [None, "1", 2**40], ["1", 1, 2**40], [None, 77, 2**40], [77, 1, 2**40], {"a": 1}, 7]
)
def test_a_token_of_another_shape_shows_nothing(parts: Parts, client: FlaskClient, payload: object) -> None:
    token = parts.keyring.issue(Purpose.PREVIEW, payload)
    assert client.get(f"/preview/{token}").status_code in (404, 410)


@pytest.mark.parametrize(("form", "kind"), [("html", "text/html"), ("txt", "text/plain"), ("eml", "message/rfc822")])
def test_programs_get_the_parts_with_a_key(
    parts: Parts, client: FlaskClient, address: str, form: str, kind: str
) -> None:
    digest_id = publish(parts)
    key = key_for(parts, "digests:read")

    answer = client.get(f"/api/digests/{digest_id}/preview.{form}", headers=key)

    assert (answer.status_code, answer.mimetype) == (200, kind)
    if form == "eml":
        assert message_from_bytes(answer.data, policy=policy.default)["Subject"] == "Briefing: The “Quiet” Budget"
    else:
        assert "Ports get £40 million" in answer.text


def test_the_next_issue_has_a_name_too(parts: Parts, client: FlaskClient, address: str) -> None:
    key = key_for(parts, "digests:read")

    assert "Ports get £40 million" in client.get("/api/digests/next/preview.txt", headers=key).text
    publish(parts)
    assert client.get("/api/digests/next/preview.txt", headers=key).status_code == 404
    assert client.get("/api/digests/next/preview.txt?newsletter=nothing", headers=key).status_code == 422


@pytest.mark.parametrize(
    ("number", "form"), [("77", "html"), ("0", "html"), ("x", "html"), ("9999999999", "html"), ("next", "pdf")]
)
def test_what_there_is_not_is_not_found(
    parts: Parts, client: FlaskClient, address: str, number: str, form: str
) -> None:
    key = key_for(parts, "digests:read")
    assert client.get(f"/api/digests/{number}/preview.{form}", headers=key).status_code == 404


def test_a_key_opens_only_what_its_scopes_name(parts: Parts, client: FlaskClient, address: str) -> None:
    reading, testing = key_for(parts, "digests:read"), key_for(parts, "digests:test")
    copy = {"addresses": ["ed@example.org"]}

    assert client.get("/api/digests/next/preview.html").status_code == 401
    assert client.get("/api/digests/next/preview.html", headers=testing).status_code == 403
    assert client.post("/api/digests/next/test", json=copy).status_code == 401
    assert client.post("/api/digests/next/test", json=copy, headers=reading).status_code == 403


def send_test(parts: Parts, client: FlaskClient, body: object) -> TestResponse:
    return client.post("/api/digests/next/test", json=body, headers=key_for(parts, "digests:test"))


def test_programs_send_copies_marked_as_a_test(parts: Parts, client: FlaskClient, address: str, inbox: Inbox) -> None:
    answer = send_test(parts, client, {"addresses": ["ed@example.org", "ED@example.org"]})

    assert answer.status_code == 200
    (copy,) = answer.get_json()["copies"]
    assert copy["accepted"]
    (mail,) = inbox.all()
    assert mail.subject == "[Test] Briefing: The “Quiet” Budget"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "addresses"),
        ({"addresses": []}, "addresses"),
        ({"addresses": ["no address"]}, "addresses.0"),
        ({"addresses": ["a@example.org", "b@"]}, "addresses.1"),
        ({"addresses": ["a@example.org"] * 21}, "addresses"),
        ({"addresses": "a@example.org"}, "addresses"),
    ],
)
def test_addresses_that_cannot_be_written_to_are_named_and_nothing_is_sent(
    parts: Parts, client: FlaskClient, address: str, inbox: Inbox, body: object, field: str
) -> None:
    answer = send_test(parts, client, body)

    assert answer.status_code == 422
    assert field in [each["field"] for each in answer.get_json()["errors"]]
    assert inbox.all() == []


def test_a_form_may_name_several_addresses(parts: Parts, client: FlaskClient, address: str) -> None:
    answer = client.post(
        "/api/digests/next/test",
        data={"addresses": ["a@example.org", "b@example.org"]},
        headers=key_for(parts, "digests:test"),
    )
    assert [copy["address"] for copy in answer.get_json()["copies"]] == ["a@example.org", "b@example.org"]
