"""What operators and other programs ask for: previews, test copies, issues that are due, events of mail."""

from collections.abc import Mapping

from newsletter_svc.web import answers, bodies
from newsletter_svc.web.operations.operation import READS, Ending, Form, Guard, Operation, Tag

_OF_NEWSLETTER = {"newsletter": "Whose next issue, for `next` in the place of a number; the default one if none."}

OPERATORS: Mapping[str, Operation] = {
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
        refusals=READS | {401, 403, 404, 503},
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
