"""The frontend kit as browsers fetch it: addresses, headers, size, and hashes that never change again."""

import gzip
import re

import pytest
from flask.testing import FlaskClient

from newsletter_svc.palette import READABLE, contrast
from tests.guide import integrity, text

FILES = {"newsletter.js": "text/javascript", "newsletter.css": "text/css"}
FOREIGN = {"Origin": "https://elsewhere.example"}


@pytest.mark.parametrize("name", FILES)
def test_a_version_is_kept_for_a_year_and_open_to_every_page(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/kit/1/{name}", headers=FOREIGN)
    assert (answer.status_code, answer.mimetype) == (200, FILES[name])
    assert answer.content_type.endswith("charset=utf-8")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", FILES)
def test_the_name_without_a_version_is_the_latest_and_asked_for_again(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/kit/{name}")
    assert answer.data == client.get(f"/static/kit/1/{name}").data
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    again = client.get(f"/static/kit/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_version_that_there_never_was_is_not_found(client: FlaskClient) -> None:
    for path in (
        "2/newsletter.js",
        "1/other.js",
        "1/../../../kit.py",
        f"{'9' * 3000}/newsletter.js",
        "-1/newsletter.js",
    ):
        assert client.get(f"/static/kit/{path}").status_code == 404


@pytest.mark.parametrize("name", FILES)
def test_who_takes_gzip_gets_the_same_in_less_than_six_kilobytes(client: FlaskClient, name: str) -> None:
    plain = client.get(f"/static/kit/1/{name}")
    zipped = client.get(f"/static/kit/1/{name}", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) < 6_000


def test_the_script_has_nothing_that_a_strict_content_policy_forbids(client: FlaskClient) -> None:
    script = client.get("/static/kit/1/newsletter.js").text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style", script
    )
    assert re.findall(r"window\.(\w+) =", script) == ["newsletter"]


def test_the_guide_names_the_hashes_of_the_files_that_are_served(client: FlaskClient) -> None:
    named = set(re.findall(r'integrity="([^"]+)"', text()))
    assert named == {integrity(client.get(f"/static/kit/1/{name}").data) for name in FILES}


def test_the_kit_finds_all_its_words_among_the_messages(client: FlaskClient) -> None:
    script = client.get("/static/kit/1/newsletter.js").text
    words = client.get("/messages").get_json()["kit"]
    used = set(re.findall(r"\bkit\.(\w+)", script)) | set(re.findall(r'\bpending(?: =|:) "(sending|checking)"', script))
    assert used == set(words)
    assert (words["lang"], words["dir"]) == ("en-GB", "ltr")
    assert "{when}" in words["retry"]


def test_messages_may_be_kept_for_a_while_and_hold_no_reader(client: FlaskClient) -> None:
    answer = client.get("/messages")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    for headers in ({}, FOREIGN, {"Origin": "http://127.0.0.1:8000"}):
        assert "Origin" in client.get("/messages", headers=headers).headers["Vary"]
    assert "Set-Cookie" not in answer.headers
    bad = [each["code"] for each in answer.get_json()["messages"] if not each["success"]]
    assert bad == ["billing_not_updated"]


def test_what_the_kit_draws_can_be_read_in_the_light_and_in_the_dark(client: FlaskClient) -> None:
    sheet = client.get("/static/kit/1/newsletter.css").text
    pairs = re.findall(r"var\(--newsletter-([\w-]+), light-dark\((#\w{6}), (#\w{6})\)\)", sheet)
    light = {name: colour for name, colour, _ in pairs} | {"page": "#ffffff"}
    dark = {name: colour for name, _, colour in pairs} | {"page": "#121212"}
    read = (("good", "good-tint"), ("bad", "bad-tint"), ("good", "page"), ("bad", "page"), ("ink", "field"))
    for colours in (light, dark):
        for words, ground in (*read, ("on-button", "button")):
            assert contrast(colours[words], colours[ground]) >= READABLE, (words, ground, colours)
