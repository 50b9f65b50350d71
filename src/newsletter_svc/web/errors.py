"""How failures are answered: by the table of problems, as JSON for programs and as a page for people."""

from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from newsletter_svc.web import messages
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.problems import Problem, Reason, problem_of
from newsletter_svc.words import Saying

log = structlog.get_logger()


def answer(problem: Problem) -> Response:
    """The problem as problem+json, or as a page."""
    title, detail = messages.title(problem.status), _said(problem.detail)
    errors = [{"field": field, "detail": _said(reason)} for field, reason in problem.errors]
    if wants_json():
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": problem.status.value,
            "detail": detail,
            "code": problem.code,
        }
        if errors:
            body["errors"] = errors
        response = jsonify(body)
        response.mimetype = "application/problem+json"
    else:
        detail = " ".join(error["detail"] for error in errors) or detail
        page = {"status": problem.status.value, "title": title, "detail": detail}
        response = make_response(render_template("pages/error.html", **page))
    response.status_code = problem.status
    response.headers.extend(problem.headers)
    return response


def _said(reason: Reason) -> str:
    return messages.say(reason) if isinstance(reason, Saying) else reason


def install(app: Flask) -> None:
    """Let the application answer every failure by the table."""

    @app.errorhandler(Exception)
    def handle(error: Exception) -> WerkzeugResponse:
        if isinstance(error, HTTPException) and (error.code or 500) < HTTPStatus.BAD_REQUEST:
            return error.get_response()  # A redirect that the router makes is no failure.
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # The class and the place, not the text: texts of database errors quote rows, and rows hold addresses.
            log.error("request_failed", error=type(error).__name__, status=problem.status.value, place=_place(error))
        return answer(problem)


def _place(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_qualname}:{traceback.tb_lineno}" if traceback else ""
