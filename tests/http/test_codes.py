"""One-time codes: good only with the challenge of the asking page, and for few tries."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from newsletter_svc.auth.models import MagicLink
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from tests.doors import AS_PROGRAM, DOORS, FOREIGN, ask, is_signed_in, session_cookies, stranger_to
from tests.factories import make_reader
from tests.inbox import Inbox


def challenge_of(answer: TestResponse) -> str:
    assert answer.json is not None
    challenge = answer.json["challenge"]
    assert isinstance(challenge, str)
    return challenge


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


def try_code(client: FlaskClient, challenge: str, code: str) -> TestResponse:
    return client.post("/signin/code", json={"challenge": challenge, "code": code})


@pytest.mark.parametrize("door", DOORS)
def test_the_code_does_what_the_link_does(client: FlaskClient, inbox: Inbox, door: str) -> None:
    challenge = challenge_of(ask(client, door))
    phone = stranger_to(client)
    answer = try_code(phone, challenge, inbox.newest().code)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["code"] == ("subscribed" if door == "/subscribe" else "signed_up")
    assert len(session_cookies(answer)) == 1
    assert is_signed_in(phone)


@pytest.mark.parametrize("spelling", ["{0} {1}", " {0}{1} ", "{0}  {1}", "{0}\u00a0{1}"])
def test_a_code_may_be_typed_with_gaps(client: FlaskClient, inbox: Inbox, spelling: str) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    code = inbox.newest().code
    assert try_code(client, challenge, spelling.format(code[:3], code[3:])).status_code == 200


def test_a_code_without_its_challenge_is_refused(client: FlaskClient, inbox: Inbox) -> None:
    ask(client, "/signin")
    code = inbox.newest().code
    other = challenge_of(ask(stranger_to(client), "/signin", "bob@example.org"))
    stranger = stranger_to(client)
    for challenge, status in ((other, 422), ("nonsense", 410), ("", 410), ("x" * 200, 410), ("x" * 201, 422)):
        answer = try_code(stranger, challenge, code)
        assert answer.status_code == status, challenge
        assert session_cookies(answer) == []
    assert client.post("/signin/code", json={"code": code}).status_code == 422


def test_after_five_wrong_tries_the_right_code_is_dead_too(client: FlaskClient, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    mail = inbox.newest()
    for _ in range(5):
        answer = try_code(client, challenge, wrong(mail.code))
        assert answer.json is not None
        assert (answer.status_code, answer.json["code"]) == (422, "wrong_code")
    answer = try_code(client, challenge, mail.code)
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (410, "link_gone")
    assert not is_signed_in(client)
    assert client.post(mail.link, headers=AS_PROGRAM).status_code == 200


def test_the_fifth_try_may_be_the_right_one(client: FlaskClient, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    code = inbox.newest().code
    for _ in range(4):
        try_code(client, challenge, wrong(code))
    assert try_code(client, challenge, code).status_code == 200


def test_a_failed_try_stays_counted(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    try_code(client, challenge, wrong(inbox.newest().code))
    with parts.database.reading() as session:
        assert session.scalars(select(MagicLink.code_tries)).one() == 1


def test_guessing_in_parallel_gains_no_try(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    code = inbox.newest().code
    guesses = [f"{(int(code) + number) % 10**6:06d}" for number in range(1, 21)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda guess: try_code(stranger_to(client), challenge, guess).status_code, guesses))
    assert sorted(answers) == [410] * 15 + [422] * 5
    assert try_code(client, challenge, code).status_code == 410


@pytest.mark.parametrize(
    "code", ["", "1", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "1e5", "\x00" * 6, "é" * 6]
)
def test_what_is_no_code_is_refused(client: FlaskClient, code: str) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    assert try_code(client, challenge, code).status_code == 422


@pytest.mark.parametrize("code", [123456, ["123456"], None, {"code": "1"}, "\ud800", "1" * 21])
@pytest.mark.parametrize("field", ["code", "challenge"])
def test_a_wrong_type_is_refused_and_costs_no_try(client: FlaskClient, parts: Parts, code: object, field: str) -> None:
    body = {"challenge": challenge_of(ask(client, "/signin")), "code": "000000"}
    if field == "challenge" and code == "1" * 21:
        code = "1" * 201
    answer = client.post("/signin/code", json={**body, field: code})
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"][0]["field"] == field
    with parts.database.reading() as session:
        assert session.scalars(select(MagicLink.code_tries)).one() == 0


def test_a_code_expires_with_its_link(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    code = inbox.newest().code
    with parts.database.transaction() as session:
        session.scalars(select(MagicLink)).one().expires_at -= timedelta(minutes=20)
    assert try_code(client, challenge, code).status_code == 410


def test_the_code_finishes_after_a_scanner_pressed_the_button(client: FlaskClient, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    mail = inbox.newest()
    scanner = stranger_to(client)
    scanner.post(mail.link, headers=AS_PROGRAM)
    assert try_code(client, challenge, mail.code).status_code == 200
    assert is_signed_in(client)
    assert not is_signed_in(scanner)


def test_link_and_code_together_make_one_session(client: FlaskClient, inbox: Inbox) -> None:
    challenge = challenge_of(ask(client, "/signin"))
    mail = inbox.newest()
    by_link = client.post(mail.link, headers=AS_PROGRAM)
    by_code = try_code(client, challenge, mail.code)
    assert (by_link.status_code, by_code.status_code) == (200, 200)
    # The lines differ where a second ends in between: in when the cookie expires.
    assert [line.partition(";")[0] for line in session_cookies(by_link)] == [
        line.partition(";")[0] for line in session_cookies(by_code)
    ]


def test_another_site_cannot_sign_a_visitor_in_by_a_code(client: FlaskClient, inbox: Inbox) -> None:
    attacker = stranger_to(client)
    challenge = challenge_of(ask(attacker, "/signin", "eve@example.org"))
    form = {"challenge": challenge, "code": inbox.newest().code}
    for headers in (FOREIGN, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post("/signin/code", data=form, headers=headers)
        assert answer.status_code == 403
        assert session_cookies(answer) == []
    assert attacker.post("/signin/code", data=form, headers={"Origin": "null"}).status_code == 303


def test_the_code_stands_in_the_subject_and_in_both_parts(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "ada@example.org", now=utcnow())
    ask(client, "/signin")
    mail = inbox.newest()
    assert mail.code in mail.subject
    assert mail.code in mail.html
