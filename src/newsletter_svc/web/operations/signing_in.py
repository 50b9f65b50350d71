"""Signing in: the doors, magic links and codes, sessions, passes."""

from collections.abc import Mapping

from newsletter_svc.web import answers, bodies
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.operations.operation import MAILS, READS, Ending, Form, Guard, Operation, Tag

_CHECK_EMAIL = "Accepted: the mail is on its way, if it may go to this address. The same for every address."
_SIGNED_IN = {
    200: Ending("Signed in.", answers.Redeemed, headers=("Set-Cookie",)),
    303: Ending("Signed in: a browser goes back to the frontend.", headers=("Location", "Set-Cookie")),
}
_LINK_GONE = Ending("This link no longer works; where it was one of ours, with a button for a new one.", is_page=True)
_SIGNED_OUT = {204: Ending("Signed out.")}

SIGNING_IN: Mapping[str, Operation] = {
    "doors.subscribe": Operation(
        Tag.SIGN_IN,
        "Subscribe to newsletters, by double opt-in",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=READS | MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_up": Operation(
        Tag.SIGN_IN,
        "Ask for an account",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=READS | MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_in": Operation(
        Tag.SIGN_IN,
        "Ask for a magic link and a one-time code",
        {202: Ending(_CHECK_EMAIL, answers.Challenged, is_page=True)},
        refusals=READS | MAILS,
        reads=bodies.Asking,
    ),
    "doors.sign_in_by_code": Operation(
        Tag.SIGN_IN,
        "Sign in with the one-time code",
        _SIGNED_IN,
        refusals=READS | {403, 410, 429, 503},
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
        refusals=MAILS | {403, 410, 413},
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
}
