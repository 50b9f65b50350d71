"""Operators' lists of subscribers and suppressions, as the description of the service tells of them."""

from collections.abc import Mapping

from newsletter_svc.web import list_models, lists
from newsletter_svc.web.operations.operation import Ending, Guard, Operation, Raw, Tag

_KEY = frozenset({401, 403, 503})
_READS = _KEY | {400, 413, 415, 422}
_PAGE = {
    "limit": "How many rows a page has, 100 if nothing is said and 1,000 at most.",
    "after": "The `next` of the page before.",
    "email": "Only this address.",
}
_DRY_RUN = {"dry_run": "`true` says what would be done, and does nothing."}
_REPORT = (
    "Lines of JSON: `refused` with line, address and reason for each such row, `progress` with the counts of what is "
    "in for good after each thousand rows, and at the end `done`, or `stopped` with the reason."
)
_TAKEN = {200: Ending(_REPORT, kind=lists.NDJSON)}

LISTS: Mapping[str, Operation] = {
    "api_subscribers.show_list": Operation(
        Tag.OPERATORS,
        "The subscribers, whatever their standing, a page at a time",
        {200: Ending("A page.", list_models.Subscribers)},
        refusals=_KEY | {422},
        guard=Guard.API_KEY,
        queries={
            **_PAGE,
            "newsletter": "Only who has to do with this newsletter.",
            "status": "Only who stands so with it: `confirmed`, `unconfirmed` or `unsubscribed`.",
        },
    ),
    "api_subscribers.add": Operation(
        Tag.OPERATORS,
        "Add a reader by the rules of an import; without `confirmed` a mail asks for the consent",
        {200: Ending("Known already.", list_models.Added), 201: Ending("Added.", list_models.Added)},
        refusals=_READS | {409},
        reads=list_models.Adding,
        guard=Guard.API_KEY,
    ),
    "api_subscribers.show": Operation(
        Tag.OPERATORS,
        "One subscriber",
        {200: Ending("The subscriber.", list_models.Subscriber)},
        refusals=_KEY | {404},
        guard=Guard.API_KEY,
    ),
    "api_subscribers.change": Operation(
        Tag.OPERATORS,
        "Change a reader's name, or take newsletters away at once",
        {200: Ending("The subscriber as it is now.", list_models.Subscriber)},
        refusals=_READS | {404, 409},
        reads=list_models.SubscriberChanges,
        guard=Guard.API_KEY,
    ),
    "api_subscribers.erase": Operation(
        Tag.OPERATORS,
        "Forget a subscriber for good; no list brings the address back, a new sign-up does",
        {204: Ending("Gone.")},
        refusals=_KEY | {404, 413},
        guard=Guard.API_KEY,
    ),
    "api_subscribers.take_list": Operation(
        Tag.OPERATORS,
        "Import readers from CSV with the columns email, name and newsletters",
        _TAKEN,
        refusals=_READS,
        reads=Raw.CSV,
        guard=Guard.API_KEY,
        queries={**_DRY_RUN, "confirmed": "`true` says that the consent of everybody on it is on record elsewhere."},
    ),
    "api_subscribers.hand_out_list": Operation(
        Tag.OPERATORS,
        "Who gets a newsletter, as CSV in the form that an import takes",
        {200: Ending("The list.", kind=lists.CSV, headers=("Content-Disposition",))},
        refusals=_KEY | {422},
        guard=Guard.API_KEY,
        queries={"newsletter": "Only who gets this one."},
    ),
    "api_suppressions.show_list": Operation(
        Tag.OPERATORS,
        "The addresses that are not written to, a page at a time",
        {200: Ending("A page.", list_models.Suppressions)},
        refusals=_KEY | {422},
        guard=Guard.API_KEY,
        queries=_PAGE,
    ),
    "api_suppressions.add": Operation(
        Tag.OPERATORS,
        "Write to an address no more; where that is so already, the first reason stays and the wider scope",
        {200: Ending("It was so.", list_models.Suppression), 201: Ending("It is so now.", list_models.Suppression)},
        refusals=_READS,
        reads=list_models.Suppressing,
        guard=Guard.API_KEY,
    ),
    "api_suppressions.change": Operation(
        Tag.OPERATORS,
        "Stop more of what goes to an address, or less",
        {200: Ending("The suppression as it is now.", list_models.Suppression)},
        refusals=_READS | {404},
        reads=list_models.ScopeChange,
        guard=Guard.API_KEY,
    ),
    "api_suppressions.lift": Operation(
        Tag.OPERATORS,
        "Write to an address again, and forget how often it bounced",
        {204: Ending("It is written to again.")},
        refusals=_KEY | {404, 413},
        guard=Guard.API_KEY,
    ),
    "api_suppressions.take_list": Operation(
        Tag.OPERATORS,
        "Import suppressions from CSV with the columns email, reason and scope; nobody is written to again by that",
        _TAKEN,
        refusals=_READS,
        reads=Raw.CSV,
        guard=Guard.API_KEY,
        queries=_DRY_RUN,
    ),
    "api_suppressions.hand_out_list": Operation(
        Tag.OPERATORS,
        "Every suppression, as CSV in the form that an import takes",
        {200: Ending("The list.", kind=lists.CSV, headers=("Content-Disposition",))},
        refusals=_KEY,
        guard=Guard.API_KEY,
    ),
}
"""By the name of the route."""
