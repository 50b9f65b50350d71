"""What a page of another site cannot make a reader's browser do, also by a detour; and asking twice."""

from flask.testing import FlaskClient

from tests.doors import csrf_of
from tests.inbox import Inbox

FOREIGN_FORM = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
OWN_PAGE = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}


def test_a_foreign_form_works_but_does_not_make_the_asking_browser(client: FlaskClient, inbox: Inbox) -> None:
    answer = client.post("/signin", data={"email": "attacker@example.org"}, headers=FOREIGN_FORM)

    assert answer.status_code == 202
    assert "Set-Cookie" not in answer.headers
    page = client.get(inbox.newest().link).text
    assert 'data-auto-submit="true"' not in page
    assert "a•••@example.org" in page


def test_a_foreign_form_does_not_take_away_what_an_earlier_request_gave(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/signin", data={"email": "ada@example.org"}, headers=OWN_PAGE)
    own = inbox.newest().link
    client.post("/signin", data={"email": "attacker@example.org"}, headers=FOREIGN_FORM)

    assert 'data-auto-submit="true"' in client.get(own).text


def test_a_form_on_a_page_of_ours_makes_the_asking_browser(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/signin", data={"email": "ada@example.org"}, headers=OWN_PAGE)

    page = client.get(inbox.newest().link)

    assert 'data-auto-submit="true"' in page.text
    assert csrf_of(page)


def test_a_mistyped_code_leaves_the_form_where_it_is(client: FlaskClient, inbox: Inbox) -> None:
    challenge = client.post("/signin", json={"email": "ada@example.org"}).json["challenge"]
    code = inbox.newest().code
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"

    answer = client.post("/signin/code", data={"challenge": challenge, "code": wrong})

    assert answer.status_code == 422
    assert "The code is not right." in answer.text
    assert f'value="{challenge}"' in answer.text
    assert client.post("/signin/code", data={"challenge": challenge, "code": code}).status_code == 303
