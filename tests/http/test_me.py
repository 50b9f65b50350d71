"""`/me`: a reader's own data over a session: seen, changed, taken along, erased."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter_svc.audit import SecurityEvent
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters, people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Subscription
from newsletter_svc.tokens import Purpose
from tests.doors import AS_PROGRAM, FOREIGN, csrf_of, is_signed_in, link_for, sign_in, stranger_to
from tests.inbox import Inbox
from tests.markup import assert_sound

OWN = {"Origin": "http://127.0.0.1:8000"}
AS_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def subscribe(client: FlaskClient, inbox: Inbox, email: str = "ada@example.org", **fields: object) -> None:
    """Leave this client signed in as a reader of the briefing."""
    assert client.post(link_for(client, inbox, "/subscribe", email, **fields), headers=AS_PROGRAM).status_code == 200


def me(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/me")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def add_weekly(parts: Parts) -> None:
    with parts.database.transaction() as session:
        newsletters.add(session, "weekly", title="Weekly", now=utcnow())


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/me"), ("PATCH", "/me"), ("DELETE", "/me"), ("GET", "/me/export")]
)
def test_nobody_has_no_data(client: FlaskClient, method: str, path: str) -> None:
    sent = {} if method == "GET" else {"json": {}}
    answer = client.open(path, method=method, **sent)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


def test_a_reader_sees_the_own_data_and_nobody_elses(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(stranger_to(client), inbox, "grace@example.org", name="Grace")
    subscribe(client, inbox, name="Ada")
    found = me(client)
    assert found.pop("created_at").endswith("Z")
    (briefing,) = found.pop("choices")
    assert (briefing["slug"], briefing["subscribed"], briefing["paused_until"]) == ("briefing", True, None)
    own_time = {"send_hour": None, "timezone": None, "language": None}
    assert found == {"email": "ada@example.org", "name": "Ada", "newsletters": ["briefing"], **own_time}
    assert client.get("/me").headers["Cache-Control"] == "no-store"


def test_what_is_left_out_of_a_change_stays(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    add_weekly(parts)
    subscribe(client, inbox, name="Ada")
    answer = client.patch("/me", json={"name": " Augusta\u202e "})
    assert (answer.status_code, answer.json) == (200, me(client))
    assert (me(client)["name"], me(client)["newsletters"]) == ("Augusta", ["briefing"])
    client.patch("/me", json={"newsletters": ["weekly", "weekly"]})
    assert (me(client)["name"], me(client)["newsletters"]) == ("Augusta", ["weekly"])
    client.patch("/me", json={"name": "", "newsletters": []})
    assert (me(client)["name"], me(client)["newsletters"]) == ("", [])
    client.patch("/me", json={"newsletters": ["briefing"]})
    assert me(client)["newsletters"] == ["briefing"]


def test_a_form_changes_them_too(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    add_weekly(parts)
    subscribe(client, inbox)
    answer = client.patch("/me", data={"name": "Ada", "newsletters": ["briefing", "weekly"]}, headers=OWN)
    assert answer.status_code == 200
    assert (me(client)["name"], me(client)["newsletters"]) == ("Ada", ["briefing", "weekly"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"newsletters": ["briefing", "daily"]}, "newsletters"),
        ({"newsletters": "briefing"}, "newsletters"),
        ({"name": "n" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 7}, "name"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(
    client: FlaskClient, inbox: Inbox, body: dict[str, object], field: str
) -> None:
    subscribe(client, inbox, name="Ada")
    before = me(client)
    answer = client.patch("/me", json={"name": "Eve", "newsletters": [], **body})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.get_json()["errors"]] == [field]
    assert me(client) == before


@pytest.mark.parametrize("headers", [FOREIGN, {"Origin": "null"}, {}])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_another_site_can_neither_change_nor_erase(
    client: FlaskClient, inbox: Inbox, method: str, headers: dict[str, str]
) -> None:
    subscribe(client, inbox, name="Ada")
    before = me(client)
    answer = client.open("/me", method=method, data={"name": "Eve"}, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "forged_request")
    assert me(client) == before


def test_the_file_has_everything_on_record_and_no_secret(client: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    subscribe(stranger_to(client), inbox, "grace@example.org", name="Grace")
    subscribe(client, inbox, name="Ada")
    answer = client.get("/me/export")
    assert answer.headers["Content-Disposition"] == "attachment; filename=my-data.json"
    found = answer.get_json()
    assert (found["email"], found["name"]) == ("ada@example.org", "Ada")
    assert [(each["newsletter"], each["status"]) for each in found["subscriptions"]] == [("briefing", "confirmed")]
    assert [(each["door"], each["name"]) for each in found["links"]] == [("subscribe", "Ada")]
    assert [(each["kind"], each["status"]) for each in found["mails"]] == [("confirm_subscription", "sent")]
    assert [each["event"] for each in found["events"]] == ["asked", "sent", "redeemed"]
    assert len(found["sign_ins"]) == 1
    assert (found["bounces"], found["suppressed"]) == ([], None)
    assert "grace" not in answer.text.lower()
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert cookie.value not in answer.text
    assert "hash" not in answer.text


def test_erasing_signs_out_everywhere_and_leaves_no_trace(client: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    phone, grace = stranger_to(client), stranger_to(client)
    subscribe(grace, inbox, "grace@example.org")
    sign_in(phone, inbox)
    subscribe(client, inbox, name="Ada")
    answer = client.delete("/me", headers=OWN)
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get_cookie("session") is None
    assert not is_signed_in(phone)
    assert is_signed_in(grace)
    with parts.database.reading() as session:
        assert people.find(session, parse("ada@example.org")) is None
        assert set(session.scalars(select(Delivery.recipient))) == {"", "grace@example.org"}
        last = session.scalars(select(SecurityEvent).order_by(SecurityEvent.id.desc())).first()
        assert last is not None
        assert (last.event, last.reason, last.subscriber_id, last.peer) == ("erased", "reader", None, None)
    assert client.delete("/me", headers=OWN).status_code == 401


def test_the_account_page_leads_to_the_choices_to_another_address_and_out_for_good(
    client: FlaskClient, inbox: Inbox
) -> None:
    subscribe(client, inbox)
    page = client.get("/account")
    assert_sound(page.text)
    choices = re.search(r'href="([^"]+/preferences/[^"]+)"', page.text)
    assert choices is not None
    assert client.get(choices.group(1)).status_code == 200
    field = {"csrf": csrf_of(page)}
    asked = client.post("/me/email", data={**field, "email": "ada@new.example"}, headers=AS_BROWSER)
    assert (asked.status_code, inbox.newest().message["To"]) == (202, "ada@new.example")
    assert_sound(asked.text)
    wrong = client.post("/me/email", data={**field, "email": "ada"}, headers=AS_BROWSER)
    assert_sound(wrong.text)
    assert "This does not look like an e-mail address." in wrong.text

    assert client.post("/account/erase", headers=FOREIGN).status_code == 403
    assert is_signed_in(client)
    gone = client.post("/account/erase", data=field)
    assert_sound(gone.text)
    assert "Your account is erased" in gone.text
    assert client.get_cookie("session") is None
    assert client.get(choices.group(1)).status_code == 404
    assert client.post("/account/erase", data=field).status_code == 401


def test_the_link_of_who_was_erased_is_gone_also_for_the_browser_that_used_it(
    client: FlaskClient, inbox: Inbox
) -> None:
    link = link_for(client, inbox)
    client.post(link, headers=AS_PROGRAM)
    client.delete("/me", json={})
    assert client.post(link, headers=AS_PROGRAM).status_code == 410
    assert not is_signed_in(client)


def test_an_old_link_to_unsubscribe_does_not_reach_whoever_comes_next(
    client: FlaskClient, inbox: Inbox, parts: Parts
) -> None:
    subscribe(client, inbox)
    with parts.database.reading() as session:
        old = session.scalars(select(Subscription)).one()
        token = parts.keyring.issue(Purpose.UNSUBSCRIBE, [old.subscriber_id, old.newsletter_id])
    client.delete("/me", json={})
    grace = stranger_to(client)
    subscribe(grace, inbox, "grace@example.org")
    assert client.post(f"/unsubscribe/{token}").status_code == 404
    assert me(grace)["newsletters"] == ["briefing"]


def test_who_was_erased_comes_back_as_somebody_new(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox, name="Ada")
    before = client.get("/me/export").get_json()["id"]
    client.delete("/me", json={})
    subscribe(client, inbox)
    found = client.get("/me/export").get_json()
    assert found["id"] != before
    assert found["name"] == ""
    assert me(client)["newsletters"] == ["briefing"]
