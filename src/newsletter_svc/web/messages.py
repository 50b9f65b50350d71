"""Every sentence that a frontend shows, and the query strings that stand for them. No sentence is typed elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flask import Blueprint, Response, jsonify

from newsletter_svc.web.state import parts


class Code(StrEnum):
    """The names of the six sentences."""

    CHECK_EMAIL = "check_email"
    SUBSCRIBED = "subscribed"
    SIGNED_UP = "signed_up"
    SIGNED_IN = "signed_in"
    BILLING_UPDATED = "billing_updated"
    BILLING_NOT_UPDATED = "billing_not_updated"


SENTENCES = {
    Code.CHECK_EMAIL: "Success! Check your email for magic link to sign-in.",
    Code.SUBSCRIBED: "You've successfully subscribed to {publication}.",
    Code.SIGNED_UP: "Great! You’ve successfully signed up.",
    Code.SIGNED_IN: "Welcome back! You've successfully signed in.",
    Code.BILLING_UPDATED: "Success! Your billing info has been updated.",
    Code.BILLING_NOT_UPDATED: "Your billing was not updated.",
}
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


ADDRESS_SENTENCES = {
    AddressCode.ASKED: "Please open the link that we have sent to your new address.",
    AddressCode.CHANGED: "Your address has been changed.",
    AddressCode.RESTORED: "Your old address is back, and everybody is signed out.",
}
LINK_GONE = "This link no longer works."
KIT = {
    "sending": "Sending…",
    "checking": "Checking…",
    "failed": "That did not work. Please try again in a moment.",
    "retry": "You can try again {when}.",
    "email_label": "Email address",
    "code_label": "Or type the six digits from the email",
    "code_button": "Use the code",
    "new_link": "Send me a new link",
    "dismiss": "Dismiss this message",
}
"""What the frontend kit shows around the sentences. `{when}` becomes "in 5 minutes", in the publication's language."""
BROWSERS = {"on_system": "{browser} on {system}", "unknown": "an unknown program"}
"""How mails and the list of sessions name a browser; its own name and that of its system are the same everywhere."""
CACHED_SECONDS = 300


@dataclass(frozen=True)
class Notice:
    """What a page says at its top."""

    sentence: str
    success: bool


def sentence(code: Code) -> str:
    """The sentence, with the publication's name in it."""
    return SENTENCES[code].format(publication=parts().settings.publication_name)


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
        return Notice(LINK_GONE, success=False)
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
            "link_gone": {"message": LINK_GONE, "queries": failures},
            "kit": {"lang": publication.lang, "dir": publication.dir, **KIT},
        }
    )
    response.headers["Cache-Control"] = f"public, max-age={CACHED_SECONDS}"
    # What is kept for a page that may not read it must not be given to one that may.
    response.vary.add("Origin")
    return response
