"""`GET /openapi.json`: the description of the public doors, made from the router and the models that the views read."""

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from newsletter_svc.web import answers, cookies, forgery
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.operations import OPERATIONS
from newsletter_svc.web.operations.operation import Ending, Form, Guard, Operation, Raw
from newsletter_svc.web.state import parts

openapi = Blueprint("openapi", __name__)

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
PROBLEM = "application/problem+json"
PAGE = "text/html"
PLACE = re.compile(r"<(?:(?P<kind>\w+)(?:\([^)]*\))?:)?(?P<name>\w+)>")
"""A place in a route: `<token>`, `<int:session_id>`."""
COMPONENT = "#/components/schemas/{model}"
ABOUT = """\
Bodies are JSON or an HTML form. Who sends JSON, or would rather have JSON than HTML, gets JSON; a browser's form gets a
redirect or a page. Fields that are not described are left alone. HEAD is answered wherever GET is.

What acts by cookie is taken from a page of ours (which carries a hidden field), from an origin of the frontend, or with
`Content-Type: application/json`; anything else is refused with 403.
"""
REFUSED = {
    400: "Not JSON, or not a JSON object.",
    401: "Nobody is signed in, or the API key is missing or wrong.",
    403: "The request may come from a foreign page, or the API key is not for this.",
    404: "There is nothing at this address.",
    409: "What is asked for does not fit what there is; `code` says why.",
    410: "The link or code no longer works.",
    413: "The body is too large.",
    415: "The body is of another kind than this takes.",
    422: "A field is wrong; `errors` says which.",
    429: "Too many requests.",
    503: "Busy, or the limit for all callers is reached.",
}
RETRIED = frozenset({429, 503})


@openapi.get("/openapi.json")
def describe() -> Response:
    """The service in a form that programs read (OpenAPI 3.1)."""
    return jsonify(document())


def document() -> dict[str, Any]:
    """The OpenAPI document of the application that answers this request."""
    service = parts()
    return {
        "openapi": "3.1.1",
        "info": {
            "title": service.settings.publication_name,
            "version": version("newsletter-svc"),
            "description": ABOUT,
        },
        "servers": [{"url": service.settings.public_url}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {_name(status): _refusal(status) for status in REFUSED},
            "securitySchemes": _security_schemes(),
        },
    }


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(current_app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = OPERATIONS.get(rule.endpoint)
        if operation is not None:
            described = _operation(rule, operation)
            path = paths.setdefault(PLACE.sub(r"{\g<name>}", rule.rule), {})
            path.update({method.lower(): described for method in methods(rule)})
    return paths


def methods(rule: Rule) -> set[str]:
    """The methods of a route that are described: what the framework adds by itself is not."""
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def _operation(rule: Rule, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": list(_parameters(rule, operation)),
        "responses": _responses(operation),
    }
    if operation.reads is not None:
        described["requestBody"] = _body(operation.reads)
    if operation.guard is not None:
        described["security"] = [{operation.guard: []}, *([{}] if operation.guard_is_optional else [])]
    return described


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for place in PLACE.finditer(rule.rule):
        schema = {"type": "integer", "minimum": 0} if place["kind"] == "int" else {"type": "string", "minLength": 1}
        yield {"name": place["name"], "in": "path", "required": True, "schema": schema}
    for name, text in operation.queries.items():
        yield {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
    for cookie in operation.cookies:
        text = "Given to the browser that asked for the link."
        yield {"name": cookies.name(cookie), "in": "cookie", "description": text, "schema": {"type": "string"}}


def _body(reads: type[BaseModel] | Form | Raw) -> dict[str, Any]:
    if isinstance(reads, Raw):
        return {"required": True, "content": {reads.value: {"schema": {"type": "string"}}}}
    if isinstance(reads, Form):
        fields = {Form.OWN: forgery.FIELD, Form.ONE_CLICK: "List-Unsubscribe"}
        schema = {"type": "object", "properties": {fields[reads]: {"type": "string"}}}
        return {"required": False, "content": {kind: {"schema": schema} for kind in FORMS}}
    return {"required": True, "content": {kind: {"schema": _reference(reads)} for kind in (JSON, *FORMS)}}


def _responses(operation: Operation) -> dict[str, Any]:
    responses = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in operation.refusals}
    for status, ending in operation.endings.items():
        described = _ending(ending)
        if status in operation.refusals:
            described["content"] |= _refusal(status)["content"]
        responses[str(status)] = described
    return dict(sorted(responses.items()))


def _ending(ending: Ending) -> dict[str, Any]:
    described: dict[str, Any] = {"description": ending.text}
    content = {JSON: {"schema": _reference(ending.json)}} if ending.json else {}
    if ending.kind is not None:
        content[ending.kind] = {"schema": {"type": "string"}}
    if ending.is_page:
        content[PAGE] = {"schema": {"type": "string"}}
    if content:
        described["content"] = content
    if ending.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in ending.headers}
    return described


def _refusal(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": REFUSED[status],
        "content": {PROBLEM: {"schema": _reference(answers.ProblemDetails)}, PAGE: {"schema": {"type": "string"}}},
    }
    if status in RETRIED:
        seconds = {"type": "integer", "minimum": 0}
        described["headers"] = {"Retry-After": {"description": "Seconds.", "required": True, "schema": seconds}}
    return described


def _name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    references, _ = _models()
    return references[model]


def _schemas() -> dict[str, Any]:
    _, schemas = _models()
    return schemas


@cache
def _models() -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, Any]]:
    """Of every model in the table: how to refer to it, and the schemas that stand behind that."""
    read = {operation.reads for operation in OPERATIONS.values() if isinstance(operation.reads, type)}
    said = {ending.json for operation in OPERATIONS.values() for ending in operation.endings.values() if ending.json}
    models = sorted(read | said | {answers.ProblemDetails}, key=lambda model: model.__name__)
    references, schemas = models_json_schema([(model, "validation") for model in models], ref_template=COMPONENT)
    return {model: references[model, "validation"] for model in models}, schemas["$defs"]


def _security_schemes() -> dict[str, Any]:
    return {
        Guard.SESSION: {"type": "apiKey", "in": "cookie", "name": cookies.name(Cookie.SESSION)},
        Guard.API_KEY: {"type": "http", "scheme": "bearer"},
    }
