"""What our answers say in JSON: one model for each shape, for the description of the service and for who tests it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from newsletter_svc.auth.own_records import Agreement, Happened, LinkAsked, Mail, Moved, Returned, SignIn, Standing
from newsletter_svc.digests.proofs import Proof
from newsletter_svc.digests.runs import Run
from newsletter_svc.subscribers.models import Rhythm
from newsletter_svc.web.messages import AddressCode, Code


class Answer(BaseModel):
    """The base of all: an answer that says more than its model does is described wrongly."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Said(Answer):
    """One of the sentences that a frontend shows."""

    code: Code
    message: str
    """The sentence, in the publication's words."""


class AddressSaid(Answer):
    """How a change of address stands."""

    code: AddressCode
    message: str


class Challenged(Said):
    """What every door says that sends a mail: the same for every address."""

    challenge: str
    """For `/signin/code`, together with the code from the mail. Opaque, and as good as a password until then."""


class Redeemed(Said):
    """Somebody is signed in now; the session is in the cookie."""

    redirect: str
    """The page of the frontend to go on with."""


class Reader(Answer):
    """Who is signed in."""

    email: str
    name: str
    newsletters: list[str]
    """The slugs of the newsletters that this reader receives."""


class Choice(Answer):
    """One newsletter, and what the reader has chosen for it."""

    slug: str
    title: str
    description: str
    subscribed: bool
    frequency: Rhythm | None
    """Null is the newsletter's own."""
    offered: list[Rhythm]
    """The frequencies there are to choose from."""
    paused_until: datetime | None


class Chosen(Answer):
    """What a reader has chosen; null leaves it to the newsletter, or to the service."""

    newsletters: list[str]
    """The slugs of the newsletters that this reader receives."""
    send_hour: int | None
    """Local hour, 0 to 23."""
    timezone: str | None
    language: str | None
    choices: list[Choice]
    """Of every newsletter, also of those that the reader does not receive."""


class Preferences(Chosen):
    """What the page behind the link in every issue is about."""

    address: str
    """Masked: who has the link need not be the reader."""
    asked: list[str]
    """Slugs of newsletters for which a mail now asks the reader to confirm."""


class Profile(Reader, Chosen):
    """The reader's own data, as they can change it."""

    created_at: datetime


class CardChange(Answer):
    """One press of "update billing"."""

    begun_at: datetime
    done_at: datetime | None
    """When the new card came into use, if it did."""


class Billing(Answer):
    """Who the reader is at Stripe. Card details are kept there, and never here."""

    customer: str | None
    updates: list[CardChange]
    """Of the last month."""


class OwnData(Answer):
    """Everything that is on record about the reader."""

    id: str
    """How other services know this reader: the subject of a pass."""
    email: str
    name: str
    created_at: datetime
    confirmed_at: datetime | None
    send_hour: int | None
    """The local hour at which digests come, where the reader chose one."""
    timezone: str | None
    language: str | None
    subscriptions: list[Standing]
    """Also those that were never confirmed or have been left."""
    consents: list[Agreement]
    """What the reader agreed to, and took back."""
    address_changes: list[Moved]
    """Of the last days, also what was asked for and never done."""
    sign_ins: list[SignIn]
    links: list[LinkAsked]
    mails: list[Mail]
    bounces: list[Returned]
    suppressed: str | None
    """Why nothing is written to the address, if so."""
    events: list[Happened]
    billing: Billing


class SessionState(Answer):
    """Whether somebody is signed in in this browser."""

    signed_in: bool
    subscriber: Reader | None


class Browser(Answer):
    """One browser in which the reader is signed in."""

    id: int
    browser: str
    """In a reader's words, such as `Firefox on Linux`."""
    created_at: datetime
    last_seen_at: datetime
    current: bool
    """Whether it is the one that asks."""


class Sessions(Answer):
    """Every browser in which the reader is signed in, the latest seen first."""

    sessions: list[Browser]


class Pass(Answer):
    """A short-lived signed JWT with which other services can trust this reader."""

    token: str
    expires_in: int
    """Seconds."""


class KeySet(Answer):
    """The public keys of passes (RFC 7517)."""

    keys: list[dict[str, JsonValue]]


class Sentence(Said):
    """A sentence, with the query string by which the frontend is told to show it."""

    query: dict[str, str]
    success: bool
    """Whether it is good news, as a page may colour it."""


class LinkGoneSentence(Answer):
    """What to show for a link that no longer works."""

    message: str
    queries: list[dict[str, str]]


class KitWords(Answer):
    """What the frontend kit shows around the sentences."""

    lang: str
    """The language of all of them, as HTML wants it: `en-GB`."""
    dir: Literal["ltr", "rtl"]
    sending: str
    checking: str
    failed: str
    unreachable: str
    retry: str
    """`{when}` in it stands for a time from now, such as "in 5 minutes"."""
    email_label: str
    code_label: str
    code_button: str
    new_link: str
    dismiss: str


class Messages(Answer):
    """Every sentence that a frontend shows."""

    messages: list[Sentence]
    link_gone: LinkGoneSentence
    kit: KitWords


class Alive(Answer):
    """The process answers."""

    status: Literal["ok"]


class CurrentAlert(Answer):
    """Something is wrong that a person has to mend."""

    name: str
    """Stable, such as `sender_refused`."""
    since: datetime
    count: int


class Readiness(Answer):
    """Whether the service could serve a request."""

    status: Literal["ok", "unavailable"]
    problems: list[str]
    alerts: list[CurrentAlert]
    """What the operator must look at, although requests are served."""


class PaymentPage(Answer):
    """Where to send the reader."""

    url: str
    """The payment page, at Stripe; good for a day."""


class Heard(Answer):
    """The event has had its effect, or had it before, or has none here."""

    received: bool


class Copies(Answer):
    """What became of every test copy."""

    copies: list[Proof]


class Taken(Answer):
    """What a webhook brought."""

    taken: int
    """How many events speak of a reader's address; those that were told before are among them."""


class Runs(Answer):
    """What became of every edition that was due."""

    runs: list[Run]


class FieldProblem(Answer):
    """What is wrong with one field."""

    field: str
    detail: str


class ProblemDetails(Answer):
    """A failure, in the form of RFC 9457."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    """A sentence for people."""
    code: str
    """The same in a word, for programs: `invalid_fields`."""
    errors: list[FieldProblem] = Field(default_factory=list)
    """Where fields are wrong: which, and why."""


class Description(Answer):
    """This document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
