"""The description of the service: true to the router, to the models and to the standard."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from werkzeug.routing import Rule

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from newsletter_svc.web import bodies
from newsletter_svc.web.openapi import methods
from newsletter_svc.web.operations import OPERATIONS
from tests.conftest import KEY

NOT_PUBLIC = {"site", "mailbox", "demo", "static", "kit", "favicon"}
"""Pages of the demo and of development, which are no promise to anybody, and files."""
BODY_KINDS = {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    found: dict[str, Any] = answer.get_json()
    return found


def public_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] not in NOT_PUBLIC]


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every described operation by its id."""
    described = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in described}) == len(described)
    return {operation["operationId"]: operation for operation in described}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(document)))
    assert references
    assert {(kind, name) for kind, name in references if name not in document["components"][kind]} == set()


def test_every_public_route_is_described_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    assert {rule.endpoint for rule in public_rules(app)} == set(OPERATIONS)
    routed = {
        (rule.endpoint.replace(".", "_"), method.lower()) for rule in public_rules(app) for method in methods(rule)
    }
    described = {
        (operation["operationId"], method) for path in document["paths"].values() for method, operation in path.items()
    }
    assert described == routed


def test_every_described_path_leads_to_its_operation(app: Flask, document: dict[str, Any]) -> None:
    adapter = app.url_map.bind("localhost")
    for path, described in document["paths"].items():
        for method, operation in described.items():
            names = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            endpoint, given = adapter.match(path.format(**dict.fromkeys(names, "7")), method.upper())
            assert endpoint.replace(".", "_") == operation["operationId"]
            assert sorted(given) == sorted(names)


def test_the_description_of_production_names_the_cookies_of_production(database_url: str) -> None:
    settings = Settings(secret_keys=(KEY,), database_url=database_url, public_url="https://news.example")
    document = create_app(settings).test_client().get("/openapi.json").get_json()
    assert document["servers"] == [{"url": "https://news.example"}]
    assert document["components"]["securitySchemes"]["session"]["name"] == "__Host-session"


@pytest.mark.parametrize(
    ("operation", "model"),
    [
        ("doors_subscribe", bodies.Asking),
        ("doors_sign_up", bodies.Asking),
        ("doors_sign_in", bodies.Asking),
        ("doors_sign_in_by_code", bodies.OneTimeCode),
        ("me_change", bodies.Changes),
        ("preferences_change", bodies.Choices),
    ],
)
def test_fields_are_described_by_the_model_that_reads_them(
    document: dict[str, Any], operation: str, model: type[BaseModel]
) -> None:
    content = operations(document)[operation]["requestBody"]["content"]
    assert set(content) == BODY_KINDS
    assert {kind["schema"]["$ref"] for kind in content.values()} == {f"#/components/schemas/{model.__name__}"}
    described = document["components"]["schemas"][model.__name__]
    assert set(described["properties"]) == set(model.model_fields)
    assert all(each["description"] for each in described["properties"].values())


def test_every_refusal_is_described_as_problem_json(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        problem = response["content"]["application/problem+json"]
        assert problem["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}, name


def test_what_needs_a_reader_or_a_key_says_so(document: dict[str, Any]) -> None:
    described = operations(document)
    assert described["sessions_list_all"]["security"] == [{"session": []}]
    assert described["sessions_show"]["security"] == [{"session": []}, {}]
    assert described["api_run_due"]["security"] == [{"api_key": []}]
    assert not any("security" in operation for name, operation in described.items() if name.startswith("doors_"))
