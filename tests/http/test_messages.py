"""The sentences and their query strings, pinned byte for byte; and what watchers of the service hear."""

from dataclasses import replace
from pathlib import Path

from flask.testing import FlaskClient

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION


def test_the_six_sentences_and_their_query_strings(client: FlaskClient) -> None:
    answer = client.get("/messages")
    assert answer.status_code == 200
    assert answer.json is not None
    listed = {each["code"]: (each["message"], each["query"]) for each in answer.json["messages"]}
    assert listed == {
        "check_email": ("Success! Check your email for magic link to sign-in.", {"stripe": "success"}),
        "subscribed": (
            "You've successfully subscribed to The Global Diplomat.",
            {"action": "subscribe", "success": "true"},
        ),
        "signed_up": ("Great! You\u2019ve successfully signed up.", {"action": "signup", "success": "true"}),
        "signed_in": ("Welcome back! You've successfully signed in.", {"action": "signin", "success": "true"}),
        "billing_updated": ("Success! Your billing info has been updated.", {"stripe": "billing-update-success"}),
        "billing_not_updated": ("Your billing was not updated.", {"stripe": "billing-update-cancel"}),
    }
    assert answer.json["link_gone"]["queries"] == [
        {"action": action, "success": "false"} for action in ("subscribe", "signup", "signin")
    ]


def test_the_sentence_names_the_publication_whatever_it_is_called(settings: Settings) -> None:
    app = create_app(replace(settings, publication_name="The {Curly} Times"))
    answer = app.test_client().get("/messages").json
    assert answer is not None
    sentences = {each["code"]: each["message"] for each in answer["messages"]}
    assert sentences["subscribed"] == "You've successfully subscribed to The {Curly} Times."
    app.extensions[EXTENSION].database.dispose()


def test_a_living_process_says_so(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_migrated_service_is_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["problems"]) == ("ok", [])


def test_a_service_without_its_tables_is_alive_and_not_ready(settings: Settings, tmp_path: Path) -> None:
    app = create_app(replace(settings, database_url=f"sqlite:///{tmp_path}/empty.db"))
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["problems"] == ["database_not_migrated"]
    asked = client.post("/signin", json={"email": "ada@example.org"})
    assert asked.status_code == 503
    assert asked.headers["Retry-After"]
    app.extensions[EXTENSION].database.dispose()


def test_a_service_whose_database_is_away_is_alive_and_not_ready(settings: Settings) -> None:
    app = create_app(replace(settings, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none"))
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz", headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert "psycopg" not in answer.text
    app.extensions[EXTENSION].database.dispose()
