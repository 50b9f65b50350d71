"""`/api/subscribers` and `/api/suppressions`: pages, single rows, and lists in and out as CSV."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse, create_environ, run_wsgi_app

from newsletter_svc.app import create_app
from newsletter_svc.auth import api_keys
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import suppressions
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import importing, newsletters
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.web.state import EXTENSION
from tests.factories import make_reader
from tests.inbox import Inbox

HEADER = "email,name,newsletters\n"
SCOPES = ("subscribers:read", "subscribers:write", "suppressions:read", "suppressions:write")
Ask = Callable[..., TestResponse]


def key_for(parts: Parts, *scopes: str) -> dict[str, str]:
    with parts.database.transaction() as session:
        _, key = api_keys.create(session, scopes, now=utcnow())
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def ask(client: FlaskClient, parts: Parts) -> Ask:
    """Ask as an operator who may do all of this."""
    headers = key_for(parts, *SCOPES)
    return lambda method, path, **sent: client.open(path, method=method, headers=headers, **sent)


@pytest.fixture
def readers(database: Database) -> None:
    with database.transaction() as session:
        for number in range(5):
            make_reader(session, f"reader{number}@example.org", now=utcnow(), name=f"Reader {number}")


def send(ask: Ask, text: str | bytes, path: str = "/api/subscribers.csv", **query: str) -> TestResponse:
    return ask("POST", path, data=text, content_type="text/csv", query_string=query)


def events(answer: TestResponse) -> list[dict[str, Any]]:
    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson"), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def count(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(Subscriber)).one()


def test_without_a_key_for_it_nothing_is_read_or_done(client: FlaskClient, parts: Parts, readers: None) -> None:
    doors = [
        ("GET", "/api/subscribers", "subscribers:read"),
        ("POST", "/api/subscribers", "subscribers:write"),
        ("GET", "/api/subscribers/x", "subscribers:read"),
        ("PATCH", "/api/subscribers/x", "subscribers:write"),
        ("DELETE", "/api/subscribers/x", "subscribers:write"),
        ("POST", "/api/subscribers.csv", "subscribers:write"),
        ("GET", "/api/subscribers.csv", "subscribers:read"),
        ("GET", "/api/suppressions", "suppressions:read"),
        ("POST", "/api/suppressions", "suppressions:write"),
        ("PATCH", "/api/suppressions/1", "suppressions:write"),
        ("DELETE", "/api/suppressions/1", "suppressions:write"),
        ("POST", "/api/suppressions.csv", "suppressions:write"),
        ("GET", "/api/suppressions.csv", "suppressions:read"),
    ]
    for method, path, scope in doors:
        refused = client.open(path, method=method, data=HEADER + "ada@example.org,,\n", content_type="text/csv")
        assert (refused.status_code, refused.get_json()["code"]) == (401, "bad_api_key"), (method, path)
        others = key_for(parts, *(each for each in SCOPES if each != scope))
        lacking = client.open(path, method=method, headers=others)
        assert (lacking.status_code, lacking.get_json()["code"]) == (403, "missing_scope"), (method, path)
    assert count(parts.database) == 5


def test_subscribers_come_a_page_at_a_time_and_each_once(ask: Ask, readers: None) -> None:
    found, after = [], "0"
    while after is not None:
        page = ask("GET", "/api/subscribers", query_string={"limit": "2", "after": after}).get_json()
        assert len(page["subscribers"]) <= 2
        found += [each["email"] for each in page["subscribers"]]
        after = page["next"]
    assert found == [f"reader{number}@example.org" for number in range(5)]


def test_a_page_can_be_narrowed_and_one_be_looked_up(ask: Ask, readers: None, database: Database) -> None:
    with database.transaction() as session:
        newsletters.add(session, "weekly", title="Weekly", now=utcnow())
        suppressions.add(session, "reader2@example.org", reason="hard_bounce 5.1.1", now=utcnow())
    by_address = ask("GET", "/api/subscribers", query_string={"email": "READER2@example.org"}).get_json()
    [entry] = by_address["subscribers"]
    assert entry["subscriptions"] == [{"newsletter": "briefing", "status": "confirmed"}]
    assert entry["suppressed"] == "hard_bounce 5.1.1"
    assert ask("GET", f"/api/subscribers/{entry['id']}").get_json() == entry
    for query, size in (({"newsletter": "weekly"}, 0), ({"status": "confirmed"}, 5), ({"status": "unsubscribed"}, 0)):
        assert len(ask("GET", "/api/subscribers", query_string=query).get_json()["subscribers"]) == size
    assert ask("GET", "/api/subscribers/%00").status_code == 404


@pytest.mark.parametrize("path", ["/api/subscribers", "/api/suppressions"])
def test_a_page_after_more_than_there_can_be_is_empty(ask: Ask, readers: None, path: str) -> None:
    answer = ask("GET", path, query_string={"after": "9" * 18})
    assert (answer.status_code, answer.get_json()["next"]) == (200, None)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "after=-1", "after=" + "9" * 19, "email=x", "status=gone", "newsletter=none"],
)
def test_a_word_in_the_query_that_is_not_known_is_refused(ask: Ask, query: str) -> None:
    assert ask("GET", f"/api/subscribers?{query}").status_code == 422


def test_who_is_added_is_asked_for_consent_unless_it_is_on_record(ask: Ask, inbox: Inbox) -> None:
    asked = ask("POST", "/api/subscribers", json={"email": "Ada@example.org", "name": "Ada"})
    assert (asked.status_code, asked.get_json()["outcome"], asked.get_json()["asked"]) == (201, "added", True)
    assert [mail.message["To"] for mail in inbox.all()] == ["Ada <Ada@example.org>"]
    known = ask("POST", "/api/subscribers", json={"email": "eva@example.org", "confirmed": True}).get_json()
    assert (known["asked"], known["subscriber"]["subscriptions"][0]["status"]) == (False, "confirmed")
    assert ask("POST", "/api/subscribers", json={"email": "eva@example.org", "confirmed": True}).status_code == 200
    form = ask("POST", "/api/subscribers", data={"email": "ida@example.org", "confirmed": "true"}).get_json()
    assert (form["asked"], form["subscriber"]["confirmed_at"] is None) == (False, False)
    assert ask("POST", "/api/subscribers", data={"email": "ida@example.org", "confirmed": "x"}).status_code == 422
    assert len(inbox.all()) == 1


def test_nobody_is_added_who_must_not_be_written_to(ask: Ask, database: Database, readers: None) -> None:
    ask("POST", "/api/suppressions", json={"email": "ada@example.org"})
    erased = ask("GET", "/api/subscribers").get_json()["subscribers"][0]
    assert ask("DELETE", f"/api/subscribers/{erased['id']}").status_code == 204
    for email in ("ada@example.org", erased["email"]):
        answer = ask("POST", "/api/subscribers", json={"email": email, "confirmed": True})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "not_added")
    rows = events(send(ask, HEADER + f"ada@example.org,,\n{erased['email']},,\n", confirmed="true"))
    assert [(each["line"], each["reason"]) for each in rows[:2]] == [
        (2, "is suppressed: operator"),
        (3, "was erased"),
    ]
    assert count(database) == 4


def test_an_operator_takes_newsletters_away_and_cannot_add_one_without_consent(ask: Ask, readers: None) -> None:
    entry = ask("GET", "/api/subscribers").get_json()["subscribers"][0]
    path = f"/api/subscribers/{entry['id']}"
    changed = ask("PATCH", path, json={"name": "Ada", "newsletters": []}).get_json()
    assert (changed["name"], changed["subscriptions"][0]["status"]) == ("Ada", "unsubscribed")
    refused = ask("PATCH", path, json={"name": "Eva", "newsletters": ["briefing"]})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "no_consent")
    assert ask("GET", path).get_json()["name"] == "Ada"


def test_a_list_goes_in_and_its_report_counts_what_is_in(ask: Ask, database: Database) -> None:
    lines = "".join(f"reader{number}@example.org,,\n" for number in range(importing.CHUNK + 1))
    dry = events(send(ask, HEADER + lines + "nobody,,\n", confirmed="true", dry_run="true"))
    assert count(database) == 0
    wet = events(send(ask, HEADER + lines + "nobody,,\n", confirmed="true"))
    assert count(database) == importing.CHUNK + 1
    assert [each["event"] for each in wet] == ["progress", "refused", "progress", "done"]
    assert wet[0]["rows"] == wet[0]["added"] == importing.CHUNK
    line = importing.CHUNK + 3
    reason = "This does not look like an e-mail address"
    assert wet[1] == {"event": "refused", "line": line, "email": "nobody", "reason": reason}
    assert dry[-1] == {**wet[-1], "dry_run": True}
    assert (wet[-1]["added"], wet[-1]["refused"]) == (importing.CHUNK + 1, 1)


def test_what_an_export_hands_out_an_import_takes(ask: Ask, readers: None) -> None:
    answer = ask("GET", "/api/subscribers.csv")
    assert (answer.mimetype, answer.headers["Content-Disposition"]) == (
        "text/csv",
        "attachment; filename=subscribers.csv",
    )
    assert answer.text.splitlines()[:2] == [HEADER.strip(), "reader0@example.org,Reader 0,briefing"]
    assert events(send(ask, answer.data, confirmed="true"))[-1]["unchanged"] == 5
    assert ask("GET", "/api/subscribers.csv?newsletter=none").status_code == 422


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "there is none called email"),
        (b"name\nada\n", "there is none called email"),
        (b"email\nada@example.org\ngr\xfcn@example.org\n", "Line 3 is not UTF-8 (byte 0xfc)"),
        (b"email\nada@example.org\n\0\n", "Line 3 holds a NUL"),
        (b"email,name\nada@example.org," + b"x" * 10_000_000 + b"\n", "Line 2 is longer than 65,536 characters"),
        (b"\xff\xfee\0m\0a\0i\0l\0\n\0\xff", "is not UTF-16"),
    ],
)
def test_a_broken_list_is_refused_with_its_line_and_nothing_goes_in(
    ask: Ask, database: Database, body: bytes, reason: str
) -> None:
    answer = send(ask, body, confirmed="true")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "broken_list")
    assert reason in answer.get_json()["detail"]
    assert count(database) == 0


def test_a_slip_in_the_query_is_no_real_import(ask: Ask, database: Database) -> None:
    for slip in ({"dry_run": "yes"}, {"dry_run": ""}, {"confirmed": "1"}):
        assert send(ask, HEADER + "ada@example.org,,\n", **slip).status_code == 422
    assert ask("POST", "/api/subscribers.csv", data=HEADER, content_type="text/plain").status_code == 415
    assert count(database) == 0


class Endless:
    """A body that goes on for as long as somebody reads it, and knows how much that was."""

    def __init__(self) -> None:
        self.read_so_far = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "all of a body without an end was asked for"
        self.read_so_far += size
        return b"x" * size


def test_a_list_that_is_too_long_is_refused_before_it_is_read(settings: Settings) -> None:
    """Declared, it is not read at all; without a length, up to the limit."""
    app = create_app(replace(settings, import_max_megabytes=1))
    parts = app.extensions[EXTENSION]
    headers = key_for(parts, *SCOPES)
    for declared, most_read in (("5000000000", 0), (None, 1_100_000)):
        body = Endless()
        environ = create_environ("/api/subscribers.csv", method="POST", headers=headers, content_type="text/csv")
        environ |= {"wsgi.input": body, "wsgi.input_terminated": True}
        environ.pop("CONTENT_LENGTH", None)
        if declared:
            environ["CONTENT_LENGTH"] = declared
        chunks, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
        assert status.startswith("413"), b"".join(chunks)
        assert "1 MB" in json.loads(b"".join(chunks))["detail"]
        assert body.read_so_far <= most_read
    assert count(parts.database) == 0
    parts.database.dispose()


def test_a_list_that_ends_too_early_changes_nothing(app: Flask, parts: Parts) -> None:
    body = (HEADER + "ada@example.org,,\n").encode()
    environ = create_environ(
        "/api/subscribers.csv", method="POST", headers=key_for(parts, *SCOPES), content_type="text/csv", data=body
    )
    environ["CONTENT_LENGTH"] = str(len(body) + 100)
    chunks, status, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    assert status.startswith("400")
    assert "Nothing was imported" in json.loads(b"".join(chunks))["detail"]
    assert count(parts.database) == 0


def test_whoever_hangs_up_leaves_whole_batches_that_were_counted(app: Flask, parts: Parts) -> None:
    lines = "".join(f"reader{number}@example.org,,\n" for number in range(3 * importing.CHUNK))
    environ = create_environ(
        "/api/subscribers.csv",
        method="POST",
        headers=key_for(parts, *SCOPES),
        content_type="text/csv",
        data=HEADER + lines,
    )
    chunks, _, _ = run_wsgi_app(app.wsgi_app, environ)
    counted = json.loads(next(iter(chunks)))
    assert hasattr(chunks, "close")
    chunks.close()
    assert counted["event"] == "progress"
    assert count(parts.database) == counted["rows"] == importing.CHUNK
    assert not [path for path in parts.settings.var_dir.iterdir() if path.name.startswith("tmp")]


def test_suppressions_are_added_widened_and_lifted(ask: Ask) -> None:
    first = ask("POST", "/api/suppressions", json={"email": "Ada@example.org", "reason": "complaint"})
    assert first.status_code == 201
    assert (first.get_json()["scope"], first.get_json()["email"]) == ("newsletters", "ada@example.org")
    again = ask("POST", "/api/suppressions", json={"email": "ada@example.org", "scope": "everything"})
    assert again.status_code == 200
    assert again.get_json() == {**first.get_json(), "scope": "everything"}
    path = f"/api/suppressions/{first.get_json()['id']}"
    assert ask("PATCH", path, json={"scope": "newsletters"}).get_json() == first.get_json()
    found = ask("GET", "/api/suppressions", query_string={"email": "ada@example.org"}).get_json()
    assert found == {"suppressions": [first.get_json()], "next": None}
    assert ask("DELETE", path).status_code == 204
    assert ask("DELETE", path).status_code == ask("PATCH", path, json={"scope": "everything"}).status_code == 404
    assert ask("DELETE", f"/api/suppressions/{2**63}").status_code == 404
    for wrong, field in (({"reason": "dislike"}, "reason"), ({"scope": "all"}, "scope"), ({"email": "x"}, "email")):
        refused = ask("POST", "/api/suppressions", json={"email": "eva@example.org", **wrong})
        assert [each["field"] for each in refused.get_json()["errors"]] == [field]


def test_a_list_of_suppressions_goes_in_and_comes_out(ask: Ask) -> None:
    text = (
        "email,reason,scope,since\n"
        "ada@example.org,complaint,newsletters,2020-01-01\n"
        "ADA@example.org,hard_bounce 5.1.1,,\n"
        "eva@example.org,,,\n"
        "x,,,\n"
        "grace@example.org,dislike,,\n"
    )
    dry = events(send(ask, text, "/api/suppressions.csv", dry_run="true"))
    assert ask("GET", "/api/suppressions").get_json()["suppressions"] == []
    wet = events(send(ask, text, "/api/suppressions.csv"))
    assert [each["line"] for each in wet if each["event"] == "refused"] == [5, 6]
    assert (wet[-1]["added"], wet[-1]["changed"], wet[-1]["refused"]) == (2, 1, 2)
    assert {**dry[-1], "dry_run": False} == wet[-1]
    rows = [line.split(",")[:3] for line in ask("GET", "/api/suppressions.csv").text.splitlines()]
    assert rows == [
        ["email", "reason", "scope"],
        ["ada@example.org", "complaint", "everything"],
        ["eva@example.org", "operator", "everything"],
    ]
    pages = ask("GET", "/api/suppressions?limit=1").get_json()
    assert [each["email"] for each in pages["suppressions"]] == ["ada@example.org"]
    assert ask("GET", f"/api/suppressions?after={pages['next']}").get_json()["next"] is None
