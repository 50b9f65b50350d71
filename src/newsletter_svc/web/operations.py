"""The public operations as a table: what each reads, answers and refuses. Paths and methods are the router's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from newsletter_svc.web import answers, bodies
from newsletter_svc.web.cookies import Cookie


class Tag(StrEnum):
    """The parts of the description."""

    SIGN_IN = "Signing in"
    READER = "The signed-in reader"
    ISSUES = "Past issues"
    PREFERENCES = "Choosing what to get"
    UNSUBSCRIBE = "Leaving"
    BILLING = "Payment details"
    SERVICE = "The service itself"
    WEBHOOKS = "Events from outside"
    OPERATORS = "Operators"


class Guard(StrEnum):
    """What lets a caller in; the names of the security schemes."""

    SESSION = "session"
    API_KEY = "api_key"


class Form(StrEnum):
    """What a form of ours carries where no model is read."""

    OWN = "own"
    """The hidden field that tells our pages from others'."""
    ONE_CLICK = "one_click"
    """What mail programs send (RFC 8058 3.1); it is not looked at."""


class Raw(StrEnum):
    """Bodies that no model describes."""

    CSV = "text/csv"


@dataclass(frozen=True)
class Ending:
    """One way in which an operation ends that is no problem+json: JSON, a page, both for who asks, or neither."""

    text: str
    json: type[BaseModel] | None = None
    is_page: bool = False
    kind: str | None = None
    """Of text that is neither JSON nor a page, such as `text/csv`."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """What the description adds to a route."""

    tag: Tag
    summary: str
    endings: Mapping[int, Ending]
    refusals: frozenset[int] = frozenset()
    reads: type[BaseModel] | Form | Raw | None = None
    guard: Guard | None = None
    guard_is_optional: bool = False
    cookies: tuple[Cookie, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    """Names of parameters in the query string, each with what it does."""


_READS = frozenset({400, 413, 415, 422})
_MAILS = frozenset({429, 503})
_CHECK_EMAIL = "Accepted: the mail is on its way, if it may go to this address. The same for every address."
_ADDRESS_ASKED = "Accepted: the mail is on its way to the new address, if it may. The same for every address."
_ADDRESS_REFUSALS = frozenset({403, 409, 410, 413, 503})
_SIGNED_IN = {
    200: Ending("Signed in.", answers.Redeemed, headers=("Set-Cookie",)),
    303: Ending("Signed in: a browser goes back to the frontend.", headers=("Location", "Set-Cookie")),
}
_LINK_GONE = Ending("This link no longer works; where it was one of ours, with a button for a new one.", is_page=True)
_ARCHIVE_QUERIES = {"newsletter": "The slug of one newsletter.", "page": "Which page; the first is 1."}
_OF_NEWSLETTER = {"newsletter": "Whose next issue, for `next` in the place of a number; the default one if none."}
_SIGNED_OUT = {204: Ending("Signed out.")}

OPERATIONS: Mapping[str, Operation] = {
    "doors.subscribe": Operation(
        Tag.SIGN_IN,
        "Subscribe to newsletters, by double opt-in",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=_READS | _MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_up": Operation(
        Tag.SIGN_IN,
        "Ask for an account",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=_READS | _MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_in": Operation(
        Tag.SIGN_IN,
        "Ask for a magic link and a one-time code",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=_READS | _MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_in_by_code": Operation(
        Tag.SIGN_IN,
        "Sign in with the one-time code",
        _SIGNED_IN,
        refusals=_READS | {403, 410, 429, 503},
        reads=bodies.OneTimeCode,
        cookies=(Cookie.PRESESSION,),
    ),
    "magic_links.look": Operation(
        Tag.SIGN_IN,
        "The page behind a magic link; looking changes nothing",
        {200: Ending("A page with a button.", is_page=True), 410: _LINK_GONE},
        refusals=frozenset({503}),
        cookies=(Cookie.PRESESSION,),
    ),
    "magic_links.redeem": Operation(
        Tag.SIGN_IN,
        "Use a magic link up",
        _SIGNED_IN,
        refusals=frozenset({403, 410, 413, 503}),
        reads=Form.OWN,
        cookies=(Cookie.PRESESSION,),
    ),
    "magic_links.renew": Operation(
        Tag.SIGN_IN,
        "Have a new link sent to the address of an old one",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=_MAILS | {403, 410, 413},
        reads=Form.OWN,
    ),
    "sessions.show": Operation(
        Tag.READER,
        "Who is signed in",
        {200: Ending("Somebody, or nobody.", answers.SessionState)},
        refusals=frozenset({503}),
        guard=Guard.SESSION,
        guard_is_optional=True,
    ),
    "sessions.end": Operation(
        Tag.READER,
        "Sign out",
        _SIGNED_OUT,
        refusals=frozenset({403, 413, 503}),
        guard=Guard.SESSION,
        guard_is_optional=True,
        queries={"everywhere": "`true` signs out in every browser."},
    ),
    "sessions.list_all": Operation(
        Tag.READER,
        "Every browser in which the reader is signed in",
        {200: Ending("The browsers.", answers.Sessions)},
        refusals=frozenset({401, 503}),
        guard=Guard.SESSION,
    ),
    "sessions.end_one": Operation(
        Tag.READER,
        "Sign out one browser",
        _SIGNED_OUT,
        refusals=frozenset({401, 403, 404, 413, 503}),
        guard=Guard.SESSION,
    ),
    "me.show": Operation(
        Tag.READER,
        "The reader's own data",
        {200: Ending("The data.", answers.Profile)},
        refusals=frozenset({401, 503}),
        guard=Guard.SESSION,
    ),
    "me.change": Operation(
        Tag.READER,
        "Change the name, the newsletters, how they come, or by a mail to the new one the address",
        {
            200: Ending("The data as they are now.", answers.Profile),
            202: Ending(_ADDRESS_ASKED, answers.AddressSaid, is_page=True),
        },
        refusals=_READS | _MAILS | {401, 403},
        reads=bodies.Changes,
        guard=Guard.SESSION,
    ),
    "me.move": Operation(
        Tag.READER,
        "Ask for another address",
        {202: Ending(_ADDRESS_ASKED, answers.AddressSaid, is_page=True)},
        refusals=_READS | _MAILS | {401, 403},
        reads=bodies.NewAddress,
        guard=Guard.SESSION,
    ),
    "address_changes.look": Operation(
        Tag.READER,
        "The page behind the link to the new address; looking changes nothing",
        {200: Ending("A page with a button.", is_page=True)},
        refusals=frozenset({410, 503}),
    ),
    "address_changes.move": Operation(
        Tag.READER,
        "Use the link to the new address up",
        {200: Ending("The reader is there from now on.", answers.AddressSaid, is_page=True)},
        refusals=_ADDRESS_REFUSALS,
        reads=Form.OWN,
    ),
    "address_changes.look_back": Operation(
        Tag.READER,
        "The page behind the link that undoes a change of address; looking changes nothing",
        {200: Ending("A page with a button.", is_page=True)},
        refusals=frozenset({410, 503}),
    ),
    "address_changes.undo": Operation(
        Tag.READER,
        "Undo a change of address",
        {200: Ending("The reader is back at the old address.", answers.AddressSaid, is_page=True)},
        refusals=_ADDRESS_REFUSALS,
        reads=Form.OWN,
    ),
    "me.erase": Operation(
        Tag.READER,
        "Forget the reader for good; no list brings the address back, a new sign-up does",
        {204: Ending("Gone, and signed out everywhere.", headers=("Set-Cookie",))},
        refusals=frozenset({401, 403, 413, 503}),
        guard=Guard.SESSION,
    ),
    "me.export": Operation(
        Tag.READER,
        "Everything on record about the reader, as a file",
        {200: Ending("The file.", answers.OwnData, headers=("Content-Disposition",))},
        refusals=frozenset({401, 503}),
        guard=Guard.SESSION,
    ),
    "passes.issue": Operation(
        Tag.READER,
        "A signed pass for other services",
        {200: Ending("The pass.", answers.Pass)},
        refusals=frozenset({401, 403, 413, 503}),
        guard=Guard.SESSION,
    ),
    "passes.keys": Operation(
        Tag.READER,
        "The public keys of passes",
        {200: Ending("The keys.", answers.KeySet)},
    ),
    "billing.update": Operation(
        Tag.BILLING,
        "Begin to update the card that the reader pays with",
        {
            200: Ending("The address of the payment page.", answers.PaymentPage),
            303: Ending("A browser goes to the payment page.", headers=("Location",)),
        },
        refusals=_READS | {401, 403, 409, 429, 503},
        reads=bodies.BillingPress,
        guard=Guard.SESSION,
    ),
    "billing.come_back": Operation(
        Tag.BILLING,
        "The way back from the payment page; says what Stripe knows, whoever opens it",
        {
            200: Ending("Whether the billing was updated.", answers.Said),
            303: Ending("A browser goes back to the frontend.", headers=("Location",)),
        },
        refusals=frozenset({401, 503}),
        guard=Guard.SESSION,
        guard_is_optional=True,
        queries={"update": "Which update; the payment page knows."},
    ),
    "billing.hear": Operation(
        Tag.BILLING,
        "Events of Stripe, signed in the header `Stripe-Signature`",
        {200: Ending("Heard.", answers.Heard)},
        refusals=frozenset({400, 413, 503}),
    ),
    "issues.web_version": Operation(
        Tag.ISSUES,
        "One issue in the browser, the same for everybody",
        {200: Ending("The issue.", is_page=True)},
        refusals=frozenset({404, 503}),
    ),
    "issues.past_issues": Operation(
        Tag.ISSUES,
        "The list of past issues, newest first; not found unless ARCHIVE is on",
        {200: Ending("A page of the list.", is_page=True)},
        refusals=frozenset({404, 503}),
        queries=_ARCHIVE_QUERIES,
    ),
    "issues.feed": Operation(
        Tag.ISSUES,
        "The same as an Atom feed (RFC 4287, RFC 5005); not found unless ARCHIVE is on",
        {200: Ending("A page of the feed, as `application/atom+xml`.")},
        refusals=frozenset({404, 503}),
        queries=_ARCHIVE_QUERIES,
    ),
    "preferences.look": Operation(
        Tag.PREFERENCES,
        "What the reader has chosen, by the link in every issue; looking changes nothing",
        {200: Ending("The choices as they are.", answers.Preferences, is_page=True)},
        refusals=frozenset({404, 503}),
        queries={"done": "What the page says was done."},
    ),
    "preferences.change": Operation(
        Tag.PREFERENCES,
        "Choose. Newsletters are left at once; for one to join, a mail asks for the confirmation",
        {
            200: Ending("The choices as they are now.", answers.Preferences),
            303: Ending("Done: a browser goes back to the page, which says so.", headers=("Location",)),
        },
        refusals=_READS | _MAILS | {403, 404},
        reads=bodies.Choices,
    ),
    "unsubscribing.look": Operation(
        Tag.UNSUBSCRIBE,
        "The page behind a link to leave; looking changes nothing",
        {200: Ending("A page with a button.", is_page=True)},
        refusals=frozenset({404, 503}),
    ),
    "unsubscribing.leave": Operation(
        Tag.UNSUBSCRIBE,
        "Leave a newsletter at once",
        {200: Ending("The reader has left.", is_page=True)},
        refusals=frozenset({404, 503}),
        reads=Form.ONE_CLICK,
    ),
    "messages.all_messages": Operation(
        Tag.SERVICE,
        "Every sentence that a frontend shows",
        {200: Ending("The sentences.", answers.Messages)},
    ),
    "health.alive": Operation(
        Tag.SERVICE,
        "Whether the process answers",
        {200: Ending("It does.", answers.Alive)},
    ),
    "health.ready": Operation(
        Tag.SERVICE,
        "Whether the service could serve a request",
        {200: Ending("It could.", answers.Readiness), 503: Ending("It could not, and why.", answers.Readiness)},
    ),
    "openapi.describe": Operation(
        Tag.SERVICE,
        "This description",
        {200: Ending("An OpenAPI document.", answers.Description)},
    ),
    "previews.look_at_link": Operation(
        Tag.OPERATORS,
        "Where those links of previews and test copies lead that would be a reader's own",
        {200: Ending("A page that says so.", is_page=True)},
    ),
    "previews.press_link": Operation(
        Tag.OPERATORS,
        "The same for the one click of mail programs; nobody is unsubscribed",
        {200: Ending("A page that says so.", is_page=True)},
        reads=Form.ONE_CLICK,
    ),
    "previews.look": Operation(
        Tag.OPERATORS,
        "A page that shows an issue and what the checks say of it, at an address that is good for an hour",
        {200: Ending("The page.", is_page=True)},
        refusals=frozenset({404, 410, 503}),
        queries={"view": "`desktop`, `phone`, `dark`, `text` or `source`."},
    ),
    "previews.mail": Operation(
        Tag.OPERATORS,
        "The HTML part of that issue by itself",
        {200: Ending("The HTML part.", is_page=True)},
        refusals=frozenset({404, 410, 503}),
        queries={"scheme": "`light` or `dark`."},
    ),
    "api.show": Operation(
        Tag.OPERATORS,
        "An issue as a reader would get it: as `html`, `txt` or, whole, as `eml`",
        {200: Ending("The part, or the mail.", is_page=True)},
        refusals=frozenset({401, 403, 404, 422, 503}),
        guard=Guard.API_KEY,
        queries=_OF_NEWSLETTER,
    ),
    "api.send_test": Operation(
        Tag.OPERATORS,
        "Send copies of an issue, marked as a test; no reader gets anything",
        {200: Ending("What became of each.", answers.Copies)},
        refusals=_READS | {401, 403, 404, 503},
        reads=bodies.Testing,
        guard=Guard.API_KEY,
        queries=_OF_NEWSLETTER,
    ),
    "webhooks.mail": Operation(
        Tag.WEBHOOKS,
        "Bounces and complaints, as `mailgun`, `postmark`, `sendgrid` and `ses` tell them; up to 1 MB",
        {200: Ending("Taken, or known already, or nothing to us.", answers.Taken)},
        refusals=frozenset({400, 401, 404, 413, 503}),
    ),
    "api.run_due": Operation(
        Tag.OPERATORS,
        "Make every issue that is due; calling it twice does nothing twice",
        {200: Ending("What became of each.", answers.Runs), 500: Ending("One or more failed.", answers.Runs)},
        refusals=frozenset({401, 403, 503}),
        guard=Guard.API_KEY,
    ),
}
"""By the name of the route. What stands here and is not routed, or the other way round, fails a test."""
