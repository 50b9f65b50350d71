"""Going through the doors of the service, as a browser or a program does."""

import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.inbox import Inbox

DOORS = ("/subscribe", "/signup", "/signin")
AS_PROGRAM = {"Accept": "application/json"}
FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def ask(client: FlaskClient, door: str, email: str = "ada@example.org", **fields: object) -> TestResponse:
    """Ask for a link in JSON; the service must take it."""
    answer = client.post(door, json={"email": email, **fields})
    assert answer.status_code == 202, answer.text
    return answer


def link_for(
    client: FlaskClient, inbox: Inbox, door: str = "/signin", email: str = "ada@example.org", **fields: object
) -> str:
    """Ask for a link and take its path from the mail."""
    ask(client, door, email, **fields)
    return inbox.newest().link


def sign_in(client: FlaskClient, inbox: Inbox, email: str = "ada@example.org") -> None:
    """Leave this client signed in."""
    assert client.post(link_for(client, inbox, email=email), headers=AS_PROGRAM).status_code == 200
    assert is_signed_in(client)


def is_signed_in(client: FlaskClient) -> bool:
    answer = client.get("/session").json
    assert answer is not None
    return bool(answer["signed_in"])


def stranger_to(client: FlaskClient) -> FlaskClient:
    """Another browser, without a cookie."""
    return client.application.test_client()


def csrf_of(page: TestResponse) -> str:
    """The value of the hidden field on a page of ours."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, "the page has no hidden field"
    return found.group(1)


def session_cookies(answer: TestResponse) -> list[str]:
    """The `Set-Cookie` lines that sign somebody in."""
    return [line for line in answer.headers.getlist("Set-Cookie") if re.match(r"(__Host-)?session=[^;]", line)]
