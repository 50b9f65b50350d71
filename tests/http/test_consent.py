"""Consent on record: every double opt-in leaves a proof, and so does every leaving."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.jobs import purging
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Consent, ConsentText
from tests.commands import invoke, succeed
from tests.doors import AS_PROGRAM, ask, link_for, sign_in, stranger_to
from tests.factories import make_reader
from tests.inbox import Inbox

ADA = "ada@example.org"
FORM = "http://127.0.0.1:8000"
WORDS = "One press confirms your subscription to Briefing."


def record(settings: Settings, email: str = ADA) -> list[dict[str, Any]]:
    """What the command prints of this reader."""
    found: list[dict[str, Any]] = json.loads(succeed(invoke(settings, "subscribers", "consent", email, "--json")))
    return found


def subscribe(client: FlaskClient, inbox: Inbox, door: str = "/subscribe", **fields: object) -> None:
    client.post(door, json={"email": ADA, **fields}, headers={"Origin": FORM})
    assert client.post(inbox.newest().link, headers=AS_PROGRAM).status_code == 200


def test_a_double_opt_in_leaves_a_proof(client: FlaskClient, inbox: Inbox, settings: Settings) -> None:
    before = utcnow()
    subscribe(client, inbox)

    [line] = record(settings)
    assert (line["act"], line["way"], line["newsletters"]) == ("given", "subscribe", ["briefing"])
    assert before.isoformat() <= line["asked_at"] <= line["at"] <= utcnow().isoformat()
    assert (line["asked_page"], line["source"]) == (FORM, None)
    assert len(line["asked_peer"]) == len(line["peer"]) == 16
    assert line["text"] == WORDS
    mail = inbox.newest()
    assert WORDS in " ".join(mail.text.split())
    assert WORDS in mail.html


def test_the_page_with_the_button_shows_the_same_words(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox, "/subscribe")
    assert WORDS in stranger_to(client).get(link).text


def test_signing_up_for_a_newsletter_is_a_consent_and_signing_in_is_none(
    client: FlaskClient, inbox: Inbox, settings: Settings
) -> None:
    subscribe(client, inbox, "/signup", newsletters=["briefing"])
    sign_in(client, inbox)
    ask(client, "/subscribe")
    client.post(inbox.newest().link, headers=AS_PROGRAM)

    [line] = record(settings)
    assert (line["way"], line["text"]) == ("signup", "The same press subscribes you to Briefing.")


def test_what_is_asked_for_and_never_confirmed_is_no_consent(
    client: FlaskClient, inbox: Inbox, settings: Settings
) -> None:
    link = link_for(client, inbox, "/subscribe")
    client.get(link)
    assert record(settings) == []
    shown = succeed(invoke(settings, "subscribers", "consent", ADA))
    assert shown == "Nothing is on record.\n"


def test_the_code_proves_as_much_as_the_link_and_a_second_chance_proves_nothing_new(
    client: FlaskClient, inbox: Inbox, settings: Settings
) -> None:
    challenge = ask(client, "/subscribe").get_json()["challenge"]
    mail = inbox.newest()
    assert stranger_to(client).post(mail.link, headers=AS_PROGRAM).status_code == 200
    assert client.post("/signin/code", json={"challenge": challenge, "code": mail.code}).status_code == 200
    assert [line["text"] for line in record(settings)] == [WORDS]


def test_every_change_of_mind_is_a_line_of_its_own(
    client: FlaskClient, inbox: Inbox, parts: Parts, settings: Settings
) -> None:
    subscribe(client, inbox)
    with parts.database.transaction() as session:
        newsletters.add(session, "world", title="World", now=utcnow())
        reader = people.find(session, parse(ADA))
        assert reader is not None
        link = parts.links.unsubscribe(subscriber_id=reader.id, newsletter_id=1).removeprefix(FORM)
    assert client.patch("/me", json={"newsletters": ["briefing", "world"]}).status_code == 200
    for _ in range(2):
        assert stranger_to(client).post(link).status_code == 200
    with parts.database.transaction() as session:
        subscriptions.complained(session, ADA, now=utcnow())
    ask(client, "/subscribe")
    client.post(inbox.newest().link, headers=AS_PROGRAM)

    assert [(line["act"], line["way"], line["newsletters"]) for line in record(settings)] == [
        ("given", "subscribe", ["briefing"]),
        ("given", "account", ["world"]),
        ("withdrawn", "unsubscribe", ["briefing"]),
        ("withdrawn", "complaint", ["world"]),
        ("given", "subscribe", ["briefing"]),
    ]


def test_the_record_is_the_readers_to_take_along_and_goes_with_them(
    client: FlaskClient, inbox: Inbox, parts: Parts, settings: Settings
) -> None:
    subscribe(client, inbox)
    exported = client.get("/me/export").get_json()
    assert [each["text"] for each in exported["consents"]] == [WORDS]
    assert exported["links"][0]["asked_page"] == FORM

    assert client.delete("/me", json={}).status_code == 204
    with parts.database.reading() as session:
        assert session.scalar(select(func.count(Consent.id))) == 0


@pytest.mark.parametrize("origin", ["null", "not a page", "javascript:alert(1)", "http://[", "https://a@b", "x" * 9000])
def test_a_page_that_says_nonsense_of_itself_is_written_down_as_none_or_harmless(
    client: FlaskClient, inbox: Inbox, settings: Settings, origin: str
) -> None:
    answer = client.post("/subscribe", json={"email": ADA}, headers={"Origin": origin})
    assert answer.status_code == 202
    client.post(inbox.newest().link, headers=AS_PROGRAM)
    assert record(settings)[0]["asked_page"] in (None, "https://b")


# What operators vouch for


def test_an_import_with_consent_names_its_list_and_the_command(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "fair 2026.csv"
    path.write_text("email\nada@example.org\ngrace@example.org\n")
    for _ in range(2):
        succeed(invoke(settings, "subscribers", "import", str(path), "--confirmed"))
    succeed(invoke(settings, "subscribers", "add", "iris@example.org", "--confirmed"))

    [line] = record(settings)
    assert (line["act"], line["way"], line["newsletters"]) == ("given", "import", ["briefing"])
    assert line["source"] == "newsletter subscribers import fair 2026.csv --confirmed"
    assert [(each["way"], each["source"]) for each in record(settings, "iris@example.org")] == [
        ("command", "newsletter subscribers add --confirmed")
    ]


def test_an_import_without_consent_records_none(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("email\nada@example.org\n")
    succeed(invoke(settings, "subscribers", "import", str(tmp_path / "list.csv")))
    assert record(settings) == []


def test_the_command_prints_the_record_for_people(client: FlaskClient, inbox: Inbox, settings: Settings) -> None:
    subscribe(client, inbox)
    shown = succeed(invoke(settings, "subscribers", "consent", ADA))
    assert "  given  subscribe  briefing\n    asked: " in shown
    assert f"    on the page: {FORM}\n" in shown
    assert f"    words: {WORDS}\n" in shown


@pytest.mark.parametrize(
    ("email", "said"),
    [("nobody@example.org", "There is no subscriber with this address."), ("nobody", "does not look like")],
)
def test_the_record_of_nobody_is_a_clear_error(settings: Settings, email: str, said: str) -> None:
    result = invoke(settings, "subscribers", "consent", email)
    assert result.exit_code == 1
    assert said in result.output


# For how long


def lines(database: Database) -> int:
    with database.reading() as session:
        return len(session.scalars(select(Consent.id)).all())


def test_the_record_stays_while_mail_rests_on_it_and_is_purged_afterwards(
    client: FlaskClient, inbox: Inbox, parts: Parts, settings: Settings
) -> None:
    subscribe(client, inbox)
    later = utcnow() + timedelta(days=40)
    short = replace(settings, consent_retention_days=30)
    assert purging.purge(parts.database, short, now=later)["consents"] == 0
    assert lines(parts.database) == 1

    with parts.database.transaction() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        subscriptions.leave(session, reader.id, 1, now=later)
    purging.purge(parts.database, short, now=later)
    assert lines(parts.database) == 1
    purging.purge(parts.database, short, now=later + timedelta(days=31))
    assert lines(parts.database) == 0
    with parts.database.reading() as session:
        assert session.scalars(select(ConsentText)).all() == []


def test_words_that_changed_are_kept_beside_the_old_ones(
    client: FlaskClient, inbox: Inbox, parts: Parts, settings: Settings
) -> None:
    subscribe(client, inbox)
    with parts.database.transaction() as session:
        newsletters.get(session, "briefing").title = "The Morning Briefing"
        make_reader(session, "grace@example.org", now=utcnow())
    client.post(link_for(client, inbox, "/subscribe", "iris@example.org"), headers=AS_PROGRAM)
    assert record(settings)[0]["text"] == WORDS
    assert record(settings, "iris@example.org")[0]["text"] == (
        "One press confirms your subscription to The Morning Briefing."
    )
