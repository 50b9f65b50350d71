"""Floods: how many mails an attacker can cause, and what readers notice of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from newsletter_svc.app import create_app
from newsletter_svc.auth.models import MagicLink
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.limits.counters import Counter
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.web.state import EXTENSION
from tests import statements
from tests.doors import AS_PROGRAM, DOORS, csrf_of, is_signed_in, link_for, stranger_to
from tests.factories import make_reader
from tests.inbox import Inbox

ADA = "ada@example.org"
RESEND = "renew"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The limits that readers meet, behind one proxy, so that a test can come from many addresses."""
    return replace(
        settings,
        limit_per_address=Settings.limit_per_address,
        limit_per_ip=Settings.limit_per_ip,
        limit_global=Settings.limit_global,
        limit_wrong_codes=Settings.limit_wrong_codes,
        trusted_proxies=1,
    )


def ip(number: int) -> str:
    return f"198.51.{number // 250}.{number % 250}"


def ask(client: FlaskClient, email: str = ADA, *, door: str = "/signin", peer: int = 0, **fields: str) -> TestResponse:
    """Ask from another browser, at the address of this number."""
    headers = {"X-Forwarded-For": ip(peer), **AS_PROGRAM}
    return stranger_to(client).post(door, json={"email": email, **fields}, headers=headers)


def pass_time(database: Database, seconds: int) -> None:
    """Let every open window be this much older."""
    with database.transaction() as session:
        for counter in session.scalars(select(Counter)):
            counter.expires_at -= timedelta(seconds=seconds)


def without_secrets(answer: TestResponse) -> tuple[int, dict[str, str], list[tuple[str, str]]]:
    """Everything that an answer says, but for what is random in every answer."""
    body = dict(answer.get_json(), challenge="")
    kept = [(name, "" if name in ("Set-Cookie", "Date") else value) for name, value in answer.headers]
    return answer.status_code, body, kept


def test_the_second_mail_in_a_minute_and_the_sixth_in_an_hour_do_not_go_out(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    answers = []
    for _ in range(6):
        answers += [ask(client), ask(client)]
        pass_time(database, 61)

    assert len(inbox.all()) == 5
    assert len({str(without_secrets(answer)) for answer in answers}) == 1

    pass_time(database, 3600)
    ask(client)
    assert len(inbox.all()) == 6


def test_another_purpose_need_not_wait_a_minute(client: FlaskClient, inbox: Inbox) -> None:
    for door in DOORS:
        ask(client, door=door)
    assert len(inbox.all()) == 3


def test_the_twenty_first_request_from_an_ip_is_told_when_to_come_back(client: FlaskClient, inbox: Inbox) -> None:
    for number in range(20):
        assert ask(client, f"reader{number}@example.org").status_code == 202

    refused = ask(client, "reader20@example.org")

    assert refused.status_code == 429
    assert refused.mimetype == "application/problem+json"
    assert refused.get_json()["code"] == "too_many_requests"
    assert 3590 < int(refused.headers["Retry-After"]) <= 3600
    assert len(inbox.all()) == 20
    assert ask(client, "reader20@example.org", peer=1).status_code == 202


def test_a_browser_over_the_limit_sees_a_page(client: FlaskClient) -> None:
    for number in range(20):
        ask(client, f"reader{number}@example.org")

    page = client.post("/signin", data={"email": ADA}, headers={"X-Forwarded-For": ip(0), "Accept": "text/html"})

    assert page.status_code == 429
    assert "Retry-After" in page.headers
    assert "asked for too many e-mails" in page.text


def test_one_ipv6_network_is_one_asker(client: FlaskClient) -> None:
    statuses = []
    for number in range(21):
        headers = {"X-Forwarded-For": f"2001:db8:1:2::{number:x}"}
        statuses.append(client.post("/signin", json={"email": f"r{number}@example.org"}, headers=headers).status_code)
    assert statuses == [202] * 20 + [429]


def test_a_thousand_ips_get_five_mails_for_one_address(client: FlaskClient, database: Database, inbox: Inbox) -> None:
    spellings = ("ada@example.org", "ADA@example.org", "a.da@example.org", "ada+shop@example.org")
    for number in range(1_000):
        answer = ask(client, spellings[number % 4], door=DOORS[number % 3], peer=number)
        assert answer.status_code == 202
        if number % 50 == 0:
            pass_time(database, 61)
    assert len(inbox.all()) == 5


def test_five_hundred_addresses_from_one_ip_get_twenty_mails(client: FlaskClient, inbox: Inbox) -> None:
    statuses = [
        ask(client, f"r{number}@example{number % 7}.org", door=DOORS[number % 3]).status_code for number in range(500)
    ]
    assert statuses == [202] * 20 + [429] * 480
    assert len(inbox.all()) == 20


def test_an_ip_over_its_limit_takes_no_mail_from_the_reader(client: FlaskClient, inbox: Inbox) -> None:
    for number in range(20):
        ask(client, f"reader{number}@example.org")
    for _ in range(10):
        assert ask(client).status_code == 429

    ask(client, peer=1)

    assert str(inbox.newest().message["To"]) == ADA


def test_requests_that_come_at_once_get_no_more_than_one_after_the_other(
    app: Flask, database: Database, inbox: Inbox
) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(app.test_client(), peer=number), range(40)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(inbox.all()) == 1


def test_two_processes_share_their_counters(app: Flask, settings: Settings, inbox: Inbox) -> None:
    other = create_app(settings)
    for number in range(20):
        ask((app, other)[number % 2].test_client(), f"reader{number}@example.org")
    assert ask(app.test_client()).status_code == ask(other.test_client()).status_code == 429
    assert len(inbox.all()) == 20
    other.extensions[EXTENSION].database.dispose()


def test_over_the_global_limit_everybody_is_asked_to_come_back_and_an_alert_stands_in_readyz(
    settings: Settings,
) -> None:
    app = create_app(replace(settings, limit_global="3/hour"))
    client = app.test_client()
    for number in range(3):
        assert ask(client, f"reader{number}@example.org", peer=number).status_code == 202
    assert client.get("/readyz").get_json()["alerts"] == []

    refused = [ask(client, peer=number) for number in (10, 11)]

    assert [answer.status_code for answer in refused] == [503, 503]
    assert refused[0].get_json()["code"] == "over_capacity"
    assert 3590 < int(refused[0].headers["Retry-After"]) <= 3600
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert [(alert["name"], alert["count"]) for alert in ready.get_json()["alerts"]] == [("global_limit", 2)]
    app.extensions[EXTENSION].database.dispose()


def test_the_button_for_a_new_link_is_a_door_like_the_others(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    link = link_for(client, inbox)
    with database.transaction() as session:
        session.scalars(select(MagicLink)).one().expires_at -= timedelta(hours=1)
    form = {"csrf": csrf_of(client.get(link))}

    for _ in range(8):
        assert client.post(f"{link}/{RESEND}", data=form, headers={"Accept": "text/html"}).status_code == 202
        pass_time(database, 61)
    assert len(inbox.all()) == 5

    for _ in range(20):
        last = client.post(f"{link}/{RESEND}", data=form, headers={"Accept": "text/html"})
    assert last.status_code == 429


def test_a_wrong_newsletter_costs_nothing(client: FlaskClient, database: Database, inbox: Inbox) -> None:
    wrong = client.post("/subscribe", json={"email": ADA, "newsletters": ["gossip"]})
    assert wrong.status_code == 422
    with database.reading() as session:
        assert session.scalars(select(Counter)).all() == []

    ask(client, door="/subscribe")
    assert len(inbox.all()) == 1


@pytest.mark.parametrize("door", DOORS)
def test_a_trapped_program_hears_the_same_counts_for_its_ip_and_leaves_the_reader_alone(
    client: FlaskClient, database: Database, inbox: Inbox, door: str
) -> None:
    honest = ask(client, "bob@example.org", door=door, peer=1)
    trapped = [ask(client, door=door, website="https://spam.example") for _ in range(20)]

    assert {str(without_secrets(answer)) for answer in trapped} == {str(without_secrets(honest))}
    assert ask(client, door=door, website="https://spam.example").status_code == 429
    assert [str(mail.message["To"]) for mail in inbox.all()] == ["bob@example.org"]
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 1

    ask(client, door=door, peer=2)
    assert str(inbox.newest().message["To"]) == ADA


def test_a_limited_request_leaves_a_link_that_was_never_alive(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    ask(client)
    ask(client)
    with database.reading() as session:
        statuses = session.scalars(select(Delivery.status).order_by(Delivery.id)).all()
        links = session.scalars(select(MagicLink).order_by(MagicLink.created_at)).all()
    assert statuses == [Status.PENDING, Status.CANCELLED]
    assert [link.expires_at > link.created_at for link in links] == [True, False]
    assert len(inbox.all()) == 1


def test_the_challenge_of_a_limited_request_is_answered_like_any_other(client: FlaskClient) -> None:
    challenges = [ask(client).get_json()["challenge"] for _ in range(2)]
    tries = [[_try(client, challenge, "000000").status_code for _ in range(6)] for challenge in challenges]
    assert tries[0] == tries[1] == [422] * 5 + [410]


def _try(client: FlaskClient, challenge: str, code: str) -> TestResponse:
    return stranger_to(client).post("/signin/code", json={"challenge": challenge, "code": code})


@pytest.mark.parametrize("door", DOORS)
def test_known_unknown_and_suppressed_addresses_take_the_same_statements(
    client: FlaskClient, parts: Parts, database: Database, door: str
) -> None:
    with database.transaction() as session:
        make_reader(session, ADA, now=utcnow())
        suppressions.add(session, make_reader(session, "bob@example.org", now=utcnow()).email, reason="x", now=utcnow())
    known = statements.sent(parts.database, lambda: ask(client, ADA, door=door, peer=1))
    unknown = statements.sent(parts.database, lambda: ask(client, "nobody@example.org", door=door, peer=2))
    suppressed = statements.sent(parts.database, lambda: ask(client, "bob@example.org", door=door, peer=3))
    assert known == unknown == suppressed


def test_a_limited_request_takes_the_same_statements_but_for_the_counter_that_gets_its_hit_back(
    client: FlaskClient, parts: Parts
) -> None:
    first = statements.sent(parts.database, lambda: ask(client))
    limited = statements.sent(parts.database, lambda: ask(client))

    def written(all_of_them: list[str]) -> list[str]:
        return [statement for statement in all_of_them if "rate_counters" not in statement]

    assert written(first) == written(limited)
    assert len(limited) == len(first) + 1


def test_guessing_in_parallel_over_ten_challenges_locks_the_codes_and_not_the_links(
    settings: Settings, database: Database
) -> None:
    app = create_app(replace(settings, limit_per_address="100/hour"))
    client, inbox = app.test_client(), Inbox(app.extensions[EXTENSION])
    challenges = [ask(client, peer=number).get_json()["challenge"] for number in range(10)]
    mails = inbox.all()
    right = {mail.code for mail in mails}
    wrong = [f"{number:06}" for number in range(60) if f"{number:06}" not in right][:50]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda pair: _try(client, *pair).status_code, zip(challenges * 5, wrong, strict=True)))

    assert answers.count(422) == 10
    assert answers.count(429) == 40
    with database.reading() as session:
        assert max(session.scalars(select(MagicLink.code_tries))) <= 5
    locked = [_try(client, challenge, code) for challenge in challenges for code in right]
    assert {answer.status_code for answer in locked} <= {410, 429}
    assert not any("session=" in line for answer in locked for line in answer.headers.getlist("Set-Cookie"))

    assert client.post(mails[-1].link, headers=AS_PROGRAM).status_code == 200
    assert is_signed_in(client)
    app.extensions[EXTENSION].database.dispose()


def test_a_locked_reader_is_told_to_use_the_link(settings: Settings) -> None:
    app = create_app(replace(settings, limit_per_address="100/hour", limit_wrong_codes="2/hour"))
    client = app.test_client()
    challenge = ask(client).get_json()["challenge"]
    for _ in range(2):
        assert _try(client, challenge, "xxxxxx").status_code == 422

    locked = _try(client, challenge, "xxxxxx")

    assert locked.status_code == 429
    assert "open the link" in locked.get_json()["detail"]
    assert 3590 < int(locked.headers["Retry-After"]) <= 3600
    app.extensions[EXTENSION].database.dispose()


def test_right_codes_lock_nothing(settings: Settings) -> None:
    app = create_app(replace(settings, limit_per_address="100/hour", limit_wrong_codes="2/hour"))
    inbox = Inbox(app.extensions[EXTENSION])
    for number in range(6):
        challenge = ask(app.test_client(), peer=number).get_json()["challenge"]
        assert _try(app.test_client(), challenge, inbox.newest().code).status_code == 200
    app.extensions[EXTENSION].database.dispose()


def test_disposable_addresses_are_refused_where_the_operator_wants_none(
    client: FlaskClient, settings: Settings
) -> None:
    assert ask(client, "someone@mailinator.com").status_code == 202

    app = create_app(replace(settings, disposable_domains="refuse"))
    for number, email in enumerate(("someone@mailinator.com", "x@MAIL.Mailinator.com")):
        for door in DOORS:
            refused = ask(app.test_client(), email, door=door, peer=number + 1)
            assert refused.status_code == 422
            assert refused.get_json()["errors"][0]["field"] == "email"
            assert "an address that you will keep" in refused.get_json()["errors"][0]["detail"]
    assert ask(app.test_client(), "ada@gmail.com", peer=5).status_code == 202
    app.extensions[EXTENSION].database.dispose()
