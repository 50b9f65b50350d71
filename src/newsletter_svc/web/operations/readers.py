"""What a reader does, signed in or by a link: the own data, the address, the preferences, leaving, billing."""

from collections.abc import Mapping

from newsletter_svc.web import answers, bodies
from newsletter_svc.web.operations.operation import MAILS, READS, Ending, Form, Guard, Operation, Tag

_ADDRESS_ASKED = "Accepted: the mail is on its way to the new address, if it may. The same for every address."
_ADDRESS_REFUSALS = frozenset({403, 409, 410, 413, 503})

READERS: Mapping[str, Operation] = {
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
        refusals=READS | MAILS | {401, 403},
        reads=bodies.Changes,
        guard=Guard.SESSION,
    ),
    "me.move": Operation(
        Tag.READER,
        "Ask for another address",
        {202: Ending(_ADDRESS_ASKED, answers.AddressSaid, is_page=True)},
        refusals=READS | MAILS | {401, 403},
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
    "billing.update": Operation(
        Tag.BILLING,
        "Begin to update the card that the reader pays with",
        {
            200: Ending("The address of the payment page.", answers.PaymentPage),
            303: Ending("A browser goes to the payment page.", headers=("Location",)),
        },
        refusals=READS | {401, 403, 409, 429, 503},
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
        refusals=READS | MAILS | {403, 404},
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
}
