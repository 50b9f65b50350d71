"""What is said by code to whoever asks over HTTP: the sentences of frontends, their query strings, the kit's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from newsletter_svc.web.state import parts
from newsletter_svc.words import Saying


class Code(StrEnum):
    """The names of the six sentences."""

    CHECK_EMAIL = "check_email"
    SUBSCRIBED = "subscribed"
    SIGNED_UP = "signed_up"
    SIGNED_IN = "signed_in"
    BILLING_UPDATED = "billing_updated"
    BILLING_NOT_UPDATED = "billing_not_updated"


ACTIONS = {Code.SUBSCRIBED: "subscribe", Code.SIGNED_UP: "signup", Code.SIGNED_IN: "signin"}
"""What stands in `?action=` when the browser comes back to the frontend."""
STRIPE = {
    Code.CHECK_EMAIL: "success",
    Code.BILLING_UPDATED: "billing-update-success",
    Code.BILLING_NOT_UPDATED: "billing-update-cancel",
}


class AddressCode(StrEnum):
    """How a change of address stands. These are said where it is made, and are not among the six."""

    ASKED = "confirm_address"
    CHANGED = "address_changed"
    RESTORED = "address_restored"


LINK_GONE = Saying("link.gone")
CACHED_SECONDS = 300


@dataclass(frozen=True)
class Notice:
    """What a page says at its top."""

    sentence: str
    success: bool


def say(saying: Saying) -> str:
    """The sentence in the publication's language."""
    return parts().words.say(saying, number=parts().composer.localised.number)


def title(status: HTTPStatus) -> str:
    """What heads the page of an error. A status that no page of ours is known to have keeps its name from HTTP."""
    return parts().words.section("titles").get(str(status.value), status.phrase)


def sentence(code: Code) -> str:
    """The sentence, with the publication's name in it."""
    return say(Saying(f"sentences.{code}", {"publication": parts().settings.publication_name}))


def is_success(code: Code) -> bool:
    """Whether the sentence is good news."""
    return code != Code.BILLING_NOT_UPDATED


def query(code: Code) -> dict[str, str]:
    """The query string that tells a frontend this sentence: `{"action": "signin", "success": "true"}`."""
    if code in ACTIONS:
        return {"action": ACTIONS[code], "success": "true"}
    return {"stripe": STRIPE[code]}


def for_query(arguments: Mapping[str, str], *, signed_in: bool = False) -> Notice | None:
    """What a page with this query string has to say; both parameters count, so an old link greets nobody."""
    said = {name: arguments.get(name, "") for name in ("action", "success", "stripe")}
    for code in Code:
        if code == Code.CHECK_EMAIL and signed_in:
            continue
        if all(said[name] == value for name, value in query(code).items()):
            return Notice(sentence(code), success=is_success(code))
    if said["action"] in ACTIONS.values() and said["success"] == "false":
        return Notice(say(LINK_GONE), success=False)
    return None


messages = Blueprint("messages", __name__)


@messages.get("/messages")
def all_messages() -> Response:
    """Codes, sentences and query strings, so that a frontend never types one; and the words of the kit."""
    publication = parts().composer.publication
    listed = [
        {"code": code, "message": sentence(code), "query": query(code), "success": is_success(code)} for code in Code
    ]
    failures = [{"action": action, "success": "false"} for action in ACTIONS.values()]
    response = jsonify(
        {
            "messages": listed,
            "link_gone": {"message": say(LINK_GONE), "queries": failures},
            "kit": {"lang": publication.lang, "dir": publication.dir, **parts().words.section("kit")},
        }
    )
    response.headers["Cache-Control"] = f"public, max-age={CACHED_SECONDS}"
    # What is kept for a page that may not read it must not be given to one that may.
    response.vary.add("Origin")
    return response
