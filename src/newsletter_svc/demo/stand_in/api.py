"""What the stand-in's API answers: the few calls that billing makes, and the errors that Stripe has for them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from newsletter_svc.demo.stand_in.account import Account, NotFound, NotWanted, Object


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    idempotency_key: str | None


class Outcome(NamedTuple):
    """A status, and the object that goes with it: alive, so that what happens to it before it is sent shows."""

    status: int
    found: Object


class Answer(NamedTuple):
    """The same as it is sent."""

    status: int
    body: str


class Api:
    """Answers in the name of one account."""

    def __init__(self, account: Account, *, secret_key: str) -> None:
        self.account = account
        self._secret_key = secret_key
        self._answers: dict[str, tuple[object, Answer]] = {}

    def answer(self, asked: Asked, values: dict[str, Any], *, authorization: str | None) -> Answer:
        """What Stripe would answer; the same for the same Idempotency-Key, as long as the same is asked."""
        if authorization != f"Bearer {self._secret_key}":
            return written(error(401, "invalid_request_error", message="Invalid API Key provided: sk_test_***4242"))
        key = asked.idempotency_key
        if key is not None and key in self._answers:
            before, answer = self._answers[key]
            return answer if before == (asked.path, values) else written(error(400, "idempotency_error"))
        answer = written(self.perform(asked, values))
        if key is not None:
            self._answers[key] = ((asked.path, values), answer)
        return answer

    def perform(self, asked: Asked, values: dict[str, Any]) -> Outcome:
        """Do what is asked for the first time."""
        try:
            found = self._find(asked, values)
        except NotFound as missing:
            return error(404, "invalid_request_error", code="resource_missing", param=str(missing))
        except NotWanted as refused:
            return error(400, "invalid_request_error", code="parameter_invalid", param=str(refused))
        return Outcome(200, found) if found is not None else error(404, "invalid_request_error")

    def _find(self, asked: Asked, values: dict[str, Any]) -> Object | None:
        account, (kind, _, name) = self.account, asked.path.removeprefix("/v1/").rpartition("/")
        match asked.method, kind or name:
            case "POST", "checkout":
                return account.create_session(values)
            case "GET", "subscriptions":
                return account.list_subscriptions(values)
            case "GET", "checkout/sessions":
                return _one(account.sessions, name)
            case "GET", "setup_intents":
                return _one(account.intents, name)
            case "GET", "customers":
                return _one(account.customers, name)
            case "POST", "customers":
                return _merge(_one(account.customers, name), values)
            case "POST", "subscriptions":
                return _merge(_one(account.subscriptions, name), values)
        return None


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][c]=1` as `{"a": {"b": {"c": "1"}}}`; what the SDK numbers stays a dict."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = re.findall(r"[^\[\]]+", name)
        place = values
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return values


def error(status: int, kind: str, **more: str) -> Outcome:
    """An error as Stripe's API words it."""
    return Outcome(status, {"error": {"type": kind, "message": "The stand-in says no.", **more}})


def written(outcome: Outcome) -> Answer:
    return Answer(outcome.status, json.dumps(outcome.found))


def _one(found: dict[str, Object], name: str) -> Object:
    if name not in found:
        raise NotFound("id")
    return found[name]


def _merge(found: Object, values: Object) -> Object:
    for name, value in values.items():
        if isinstance(value, dict):
            _merge(found.setdefault(name, {}), value)
        else:
            found[name] = value
    return found
