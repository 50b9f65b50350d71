"""A reader moves to another address: proved there, told to the old one, and undone from it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from newsletter_svc.auth import address_changes
from newsletter_svc.auth.address_links import ChangeGone
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Delivery, Suppression
from newsletter_svc.jobs import purging
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import erased, people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import AddressChange
from tests.commands import invoke, succeed
from tests.doors import AS_PROGRAM, FOREIGN, ask, csrf_of, is_signed_in, link_for, sign_in, stranger_to
from tests.factories import make_reader, owe_issue
from tests.inbox import Inbox, Received

OLD, NEW = "ada@example.org", "Ada@new.example"
SAID = {"code": "confirm_address", "message": "Please open the link that we have sent to your new address."}


def want(client: FlaskClient, email: str = NEW) -> TestResponse:
    answer = client.patch("/me", json={"email": email})
    assert answer.status_code == 202, answer.text
    return answer


def link_in(mail: Received) -> str:
    found = re.search(r"^https?://\S+/(change|undo)-address/\S+$", mail.text, re.MULTILINE)
    assert found is not None, "no link stands alone on its line"
    assert found.group() in mail.html
    return urlsplit(found.group()).path


def moved(client: FlaskClient, inbox: Inbox, email: str = NEW) -> str:
    """Move, and return the path of the link that undoes it."""
    want(client, email)
    assert client.post(link_in(inbox.newest()), headers=AS_PROGRAM).status_code == 200
    return link_in(inbox.newest())


def move_by(parts: Parts, token: str, *, now: datetime) -> str:
    """Use a link that proves an address, without a browser."""
    with parts.database.transaction() as session:
        address_changes.move(
            session, token, keyring=parts.keyring, message_domain=parts.message_domain, peer=None, now=now
        )
    return "moved"


def address_of(client: FlaskClient) -> str:
    return str(client.get("/me").get_json()["email"])


def recipients(inbox: Inbox) -> list[str]:
    return [str(mail.message["To"]) for mail in inbox.all()]


def age(database: Database, by: timedelta) -> None:
    """Let so much time pass for every change of address."""
    with database.transaction() as session:
        for change in session.scalars(select(AddressChange)):
            change.expires_at -= by
            change.undo_until = change.undo_until and change.undo_until - by


@pytest.fixture
def reader(client: FlaskClient, inbox: Inbox) -> FlaskClient:
    """A browser in which a subscribed reader is signed in."""
    assert client.post(link_for(client, inbox, "/subscribe", OLD), headers=AS_PROGRAM).status_code == 200
    return client


# There


def test_the_new_address_proves_itself_and_the_old_one_is_told(reader: FlaskClient, inbox: Inbox) -> None:
    assert want(reader).get_json() == SAID
    mail = inbox.newest()
    assert mail.message["To"] == NEW
    assert "a•••@example.org" in mail.text
    assert address_of(reader) == OLD

    answer = stranger_to(reader).post(link_in(mail), headers=AS_PROGRAM)

    assert answer.get_json() == {"code": "address_changed", "message": "Your address has been changed."}
    assert address_of(reader) == NEW
    assert reader.get("/me").get_json()["newsletters"] == ["briefing"]
    told = inbox.newest()
    assert told.message["To"] == OLD
    assert "A•••@new.example" in told.text
    assert NEW not in told.text


def test_looking_changes_nothing_and_the_link_works_once(reader: FlaskClient, inbox: Inbox) -> None:
    want(reader)
    link = link_in(inbox.newest())
    for _ in range(20):
        assert stranger_to(reader).get(link).status_code == 200
        assert stranger_to(reader).head(link).status_code == 200
    assert address_of(reader) == OLD
    assert stranger_to(reader).post(link, headers=AS_PROGRAM).status_code == 200
    again = stranger_to(reader).post(link, headers=AS_PROGRAM)
    assert (again.status_code, again.get_json()["code"]) == (410, "link_gone")
    assert stranger_to(reader).get(link).status_code == 410
    assert len([each for each in inbox.all() if "was changed" in each.subject]) == 1


def test_a_browser_goes_there_and_back_by_pages(reader: FlaskClient, inbox: Inbox) -> None:
    own = {"Origin": "http://127.0.0.1:8000"}
    asked = reader.post("/me/email", data={"email": NEW}, headers=own)
    assert asked.status_code == 202
    assert SAID["message"] in asked.text

    link, phone = link_in(inbox.newest()), stranger_to(reader)
    page = phone.get(link)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "a•••@example.org" in page.text
    assert OLD not in page.text
    assert phone.post(link, headers=FOREIGN, data={}).status_code == 403
    pressed = phone.post(link, headers={"Origin": "null"}, data={"csrf": csrf_of(page)})
    assert (pressed.status_code, "Your address has been changed." in pressed.text) == (200, True)

    back = link_in(inbox.newest())
    page = phone.get(back)
    assert "Undo the change" in page.text
    assert address_of(reader) == NEW
    restored = phone.post(back, headers={"Origin": "null"}, data={"csrf": csrf_of(page)})
    assert "Your old address is back" in restored.text


@pytest.mark.parametrize("email", [OLD, "ADA@example.org", "grace@example.org", "gone@example.org", "free@example.org"])
def test_the_answer_is_the_same_whatever_the_new_address_is(
    reader: FlaskClient, parts: Parts, inbox: Inbox, email: str
) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "grace@example.org", now=utcnow())
        suppressions.add(session, "gone@example.org", reason="complaint abuse", now=utcnow())
    before = len(inbox.all())
    assert want(reader, email).get_json() == SAID
    gets_mail = email in ("gone@example.org", "free@example.org")
    assert len(inbox.all()) == before + gets_mail
    assert recipients(inbox)[before:] == [email] * gets_mail


@pytest.mark.parametrize("email", ["", "ada", "a@x.example,b@y.example", "ada@x.example\nBcc: b@y.example", 5, []])
def test_what_is_no_address_is_refused_with_the_field(reader: FlaskClient, inbox: Inbox, email: object) -> None:
    before = len(inbox.all())
    answer = reader.patch("/me", json={"email": email, "name": "Eve"})
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "email")
    assert reader.get("/me").get_json()["name"] == ""
    assert len(inbox.all()) == before


def test_nobody_moves_who_is_not_signed_in_or_by_a_foreign_page(reader: FlaskClient, parts: Parts) -> None:
    assert stranger_to(reader).patch("/me", json={"email": NEW}).status_code == 401
    assert reader.post("/me/email", data={"email": NEW}, headers=FOREIGN).status_code == 403
    with parts.database.reading() as session:
        assert session.scalars(select(AddressChange)).all() == []


@pytest.mark.parametrize("token", ["x", "x.y.z", "%00", "é", "a" * 3000])
@pytest.mark.parametrize("path", ["change-address", "undo-address"])
def test_what_is_no_link_of_ours_is_gone(client: FlaskClient, path: str, token: str) -> None:
    for answer in (client.get(f"/{path}/{token}"), client.post(f"/{path}/{token}", headers=AS_PROGRAM)):
        assert answer.status_code == 410


def test_no_link_opens_the_door_of_another(reader: FlaskClient, inbox: Inbox) -> None:
    want(reader)
    token = link_in(inbox.newest()).rpartition("/")[2]
    for path in ("/undo-address/", "/magic-link/", "/unsubscribe/"):
        assert stranger_to(reader).post(path + token, headers=AS_PROGRAM).status_code in (404, 410)
    assert address_of(reader) == OLD


def test_links_expire(reader: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    want(reader)
    link = link_in(inbox.newest())
    age(parts.database, timedelta(minutes=21))
    assert reader.post(link, headers=AS_PROGRAM).status_code == 410
    assert address_of(reader) == OLD


# What ends, and what goes along


def test_other_sessions_and_outstanding_links_end_and_the_asking_browser_goes_on(
    reader: FlaskClient, inbox: Inbox
) -> None:
    other = stranger_to(reader)
    sign_in(other, inbox, OLD)
    waiting = stranger_to(reader)
    challenge = ask(waiting, "/signin", OLD).get_json()["challenge"]
    mail = inbox.newest()
    want(reader, "third@example.org")
    rival = link_in(inbox.newest())

    moved(reader, inbox)

    assert is_signed_in(reader)
    assert not is_signed_in(other)
    assert waiting.post(mail.link, headers=AS_PROGRAM).status_code == 410
    assert waiting.post("/signin/code", json={"challenge": challenge, "code": mail.code}).status_code == 410
    assert reader.post(rival, headers=AS_PROGRAM).status_code == 410


def test_a_link_that_was_used_a_moment_ago_has_no_second_chance(reader: FlaskClient, inbox: Inbox) -> None:
    asking = stranger_to(reader)
    link = link_for(asking, inbox, "/signin", OLD)
    assert stranger_to(reader).post(link, headers=AS_PROGRAM).status_code == 200
    moved(reader, inbox)
    assert asking.post(link, headers=AS_PROGRAM).status_code == 410


def test_an_issue_that_waits_goes_to_the_new_address(reader: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    want(reader)
    link = link_in(inbox.newest())
    owe_issue(parts)
    assert reader.post(link, headers=AS_PROGRAM).status_code == 200
    with parts.database.reading() as session:
        assert session.scalars(select(Delivery.recipient).where(Delivery.kind == "digest")).all() == [NEW]
    assert NEW in recipients(inbox)


def test_a_suppression_stays_with_the_address_that_it_speaks_of(
    reader: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    want(reader)
    link = link_in(inbox.newest())
    with parts.database.transaction() as session:
        suppressions.add(session, OLD, reason="hard_bounce 5.1.1", now=utcnow())
    assert reader.post(link, headers=AS_PROGRAM).status_code == 200
    with parts.database.reading() as session:
        assert session.scalars(select(Suppression.email_key)).all() == [OLD]


def test_the_new_address_that_registers_meanwhile_keeps_its_account(
    reader: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    want(reader)
    link = link_in(inbox.newest())
    with parts.database.transaction() as session:
        make_reader(session, NEW, now=utcnow())
    answer = reader.post(link, headers=AS_PROGRAM)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "address_taken")
    assert "nothing was changed" in answer.get_json()["detail"]
    assert address_of(reader) == OLD
    assert "was changed" not in inbox.newest().subject


def test_who_only_typed_the_new_address_somewhere_does_not_hold_it(reader: FlaskClient, inbox: Inbox) -> None:
    ask(stranger_to(reader), "/subscribe", NEW)
    typed = inbox.newest().link
    moved(reader, inbox)
    assert address_of(reader) == NEW
    assert stranger_to(reader).post(typed, headers=AS_PROGRAM).status_code == 410


def test_of_two_links_that_are_used_at_once_one_wins(reader: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    tokens = []
    for email in (NEW, "ada@third.example"):
        want(reader, email)
        tokens.append(link_in(inbox.newest()).rpartition("/")[2])
    start = Barrier(2)

    def use(token: str) -> str:
        start.wait()
        try:
            return move_by(parts, token, now=utcnow())
        except ChangeGone:
            return "gone"

    with ThreadPoolExecutor() as threads:
        assert sorted(threads.map(use, tokens)) == ["gone", "moved"]


def test_a_link_that_was_ended_stays_so_for_who_looked_at_the_clock_before(
    reader: FlaskClient, inbox: Inbox, parts: Parts
) -> None:
    want(reader, "ada@third.example")
    late = link_in(inbox.newest()).rpartition("/")[2]
    before = utcnow()
    moved(reader, inbox)
    with pytest.raises(ChangeGone):
        move_by(parts, late, now=before)
    assert address_of(reader) == NEW


# And back


def test_the_old_address_undoes_it_once_and_everybody_is_signed_out(reader: FlaskClient, inbox: Inbox) -> None:
    back = moved(reader, inbox)
    since = stranger_to(reader)
    sign_in(since, inbox, NEW)
    ask(since, "/signin", NEW)
    waiting = inbox.newest().link
    assert stranger_to(reader).get(back).status_code == 200

    answer = stranger_to(reader).post(back, headers=AS_PROGRAM)

    assert answer.get_json()["code"] == "address_restored"
    assert not is_signed_in(reader)
    assert not is_signed_in(since)
    assert since.post(waiting, headers=AS_PROGRAM).status_code == 410
    assert stranger_to(reader).post(back, headers=AS_PROGRAM).status_code == 410
    sign_in(reader, inbox, OLD)
    assert reader.get("/me").get_json()["newsletters"] == ["briefing"]


def test_after_seven_days_there_is_no_way_back(reader: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    back = moved(reader, inbox)
    age(parts.database, timedelta(days=6, hours=23))
    assert reader.get(back).status_code == 200
    age(parts.database, timedelta(hours=2))
    assert reader.post(back, headers=AS_PROGRAM).status_code == 410
    assert address_of(reader) == NEW


def test_who_was_moved_on_twice_comes_back_and_the_address_between_has_no_say(
    reader: FlaskClient, inbox: Inbox
) -> None:
    """Somebody with a stolen session moves the account to one address of theirs, and from there to another."""
    back = moved(reader, inbox)
    theirs = moved(reader, inbox, "third@example.org")
    assert stranger_to(reader).post(back, headers=AS_PROGRAM).status_code == 200
    assert stranger_to(reader).post(theirs, headers=AS_PROGRAM).status_code == 410
    sign_in(reader, inbox, OLD)
    assert reader.get("/me").get_json()["newsletters"] == ["briefing"]


def test_after_the_undoing_the_next_change_needs_a_request_of_its_own(reader: FlaskClient, inbox: Inbox) -> None:
    want(reader)
    used = link_in(inbox.newest())
    reader.post(used, headers=AS_PROGRAM)
    reader.post(link_in(inbox.newest()), headers=AS_PROGRAM)
    assert reader.post(used, headers=AS_PROGRAM).status_code == 410
    sign_in(reader, inbox, OLD)
    moved(reader, inbox)
    assert address_of(reader) == NEW


def test_where_somebody_has_proved_the_old_address_since_they_are_told_so(
    reader: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    back = moved(reader, inbox)
    with parts.database.transaction() as session:
        make_reader(session, OLD, now=utcnow())
    answer = stranger_to(reader).post(back, headers=AS_PROGRAM)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "address_taken")
    assert address_of(reader) == NEW

    succeed(invoke(parts.settings, "subscribers", "erase", OLD))
    assert stranger_to(reader).post(back, headers=AS_PROGRAM).status_code == 200


# On record


def test_changes_are_exported_and_purged(reader: FlaskClient, inbox: Inbox, parts: Parts, settings: Settings) -> None:
    moved(reader, inbox)
    [change] = reader.get("/me/export").get_json()["address_changes"]
    assert (change["old_email"], change["new_email"], change["undone_at"]) == (OLD, NEW, None)
    trail = succeed(invoke(settings, "audit", NEW))
    assert "confirm_address" in trail
    assert "address_changed" in trail

    now: datetime = utcnow()
    assert purging.purge(parts.database, settings, now=now + timedelta(days=6))["address_changes"] == 0
    assert purging.purge(parts.database, settings, now=now + timedelta(days=9))["address_changes"] == 1


def test_the_export_does_not_tell_who_is_at_an_address(reader: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "grace@example.org", now=utcnow())
    before = reader.get("/me/export").get_json()
    want(reader, "grace@example.org")
    want(reader, "free@example.org")
    found = reader.get("/me/export").get_json()
    taken, free = found["address_changes"]
    assert taken.keys() == free.keys()
    assert [name for name in taken if taken[name] != free[name]] == ["asked_at", "new_email"]
    assert (found["mails"], found["events"]) == (before["mails"], before["events"])


def test_who_is_erased_is_forgotten_at_both_addresses(reader: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    moved(reader, inbox)
    with parts.database.transaction() as session:
        suppressions.add(session, OLD, reason="hard_bounce 5.1.1", now=utcnow())
    assert reader.delete("/me", json={}).status_code == 204
    with parts.database.reading() as session:
        assert session.scalars(select(Suppression)).all() == []
        assert session.scalars(select(AddressChange)).all() == []
        assert set(session.scalars(select(Delivery.recipient))) == {""}
        assert people.find(session, parse(NEW)) is None
        assert erased.among(session, [OLD, NEW.lower()], keyring=parts.keyring) == {OLD, NEW.lower()}
