"""What is open to everybody: past issues, sentences, the state of the service, this description."""

from collections.abc import Mapping

from newsletter_svc.web import answers
from newsletter_svc.web.operations.operation import Ending, Operation, Tag

_ARCHIVE_QUERIES = {"newsletter": "The slug of one newsletter.", "page": "Which page; the first is 1."}

SERVICE: Mapping[str, Operation] = {
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
}
