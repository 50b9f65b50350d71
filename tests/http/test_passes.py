"""Passes: what another service can check with a library of its own."""

from dataclasses import replace

import jwt
import pytest
from flask.testing import FlaskClient

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from tests.conftest import KEY
from tests.inbox import Inbox

AUDIENCE = "http://127.0.0.1:8000"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def reader(client: FlaskClient, inbox: Inbox) -> FlaskClient:
    """A browser in which ada@example.org has subscribed."""
    client.post("/subscribe", json={"email": "Ada@example.org", "name": "Ada"})
    client.post(inbox.newest().link, json={})
    return client


def checked(token: str, key_set: dict[str, object]) -> dict[str, object]:
    """What a service that knows nothing but the key set's address does with a pass."""
    keys = jwt.PyJWKSet.from_dict(key_set)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key.key, algorithms=["ES256"], audience=AUDIENCE, issuer=AUDIENCE)


def test_another_library_can_verify_a_pass_with_nothing_but_the_key_set(reader: FlaskClient) -> None:
    answer = reader.post("/session/token", headers=JSON)

    assert answer.status_code == 200
    claims = checked(answer.json["token"], reader.get("/.well-known/jwks.json").json)
    assert claims["email"] == "Ada@example.org"
    assert claims["newsletters"] == ["briefing"]
    assert claims["exp"] - claims["iat"] == answer.json["expires_in"] == 300
    assert "@" not in claims["sub"]


def test_two_passes_name_the_same_reader_and_are_never_the_same(reader: FlaskClient) -> None:
    key_set = reader.get("/.well-known/jwks.json").json
    first, second = (checked(reader.post("/session/token", headers=JSON).json["token"], key_set) for _ in range(2))

    assert first["sub"] == second["sub"]
    assert first["jti"] != second["jti"]


def test_the_key_set_holds_no_private_half(client: FlaskClient) -> None:
    keys = client.get("/.well-known/jwks.json").json["keys"]

    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]


def test_nobody_signed_in_gets_no_pass(client: FlaskClient) -> None:
    answer = client.post("/session/token", json={})

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"


def test_a_page_of_another_site_gets_no_pass(reader: FlaskClient) -> None:
    answer = reader.post("/session/token", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403


def test_a_pass_of_the_previous_key_verifies_after_a_rotation(reader: FlaskClient, settings: Settings) -> None:
    old = reader.post("/session/token", headers=JSON).json["token"]
    rotated = create_app(replace(settings, secret_keys=("a newer key that is long enough to sign with", KEY)))

    key_set = rotated.test_client().get("/.well-known/jwks.json").json

    assert checked(old, key_set)["email"] == "Ada@example.org"
    assert [key["kid"] for key in key_set["keys"]].index(jwt.get_unverified_header(old)["kid"]) == 1
    rotated.extensions["newsletter"].database.dispose()
