"""Test copies of an issue, as a mail server receives them; no reader and no row knows of them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select
from structlog.testing import capture_logs

from newsletter_svc.app import create_app
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import make_articles, make_reader
from tests.fakes.smtp import Sink
from tests.wire import check_one_click, check_wire

Run = Callable[..., Result]


@pytest.fixture
def parts(settings: Settings, sink: Sink) -> Iterator[Parts]:
    there = replace(
        settings, mail_server="127.0.0.1", mail_port=sink.port, bounce_address="bounces@news.example", mail_timeout=5
    )
    parts: Parts = create_app(there).extensions[EXTENSION]
    with parts.database.transaction() as session:
        make_articles(session, "The “Quiet” Budget", now=utcnow())
        make_reader(session, "reader@example.org", now=utcnow())
    yield parts
    parts.database.dispose()


@pytest.fixture
def run(parts: Parts) -> Run:
    def invoke(*arguments: str) -> Result:
        with capture_logs():
            command = ["digest", "test", *arguments]
            return CliRunner().invoke(newsletter, command, obj=Program(lambda: parts.settings, lambda _: parts))

    return invoke


def rows(parts: Parts) -> dict[str, int]:
    with parts.database.reading() as session:
        counts = {
            table.name: session.scalar(select(func.count()).select_from(table)) for table in Base.metadata.sorted_tables
        }
    return {name: count or 0 for name, count in counts.items()}


def test_the_copies_are_marked_and_otherwise_as_a_reader_gets_them(parts: Parts, run: Run, sink: Sink) -> None:
    result = run("ed@example.org", "chief@example.org", "ED@example.org")

    assert result.exit_code == 0, result.output
    mails = sink.wait_for(2)
    assert [mail.recipients for mail in mails] == [("ED@example.org",), ("chief@example.org",)]
    for mail in mails:
        check_wire(mail.raw)
        check_one_click(mail.raw)
        assert mail.message["Subject"] == "[Test] Briefing: The “Quiet” Budget"
        assert mail.message["X-Newsletter-Test"] == "yes"
        assert mail.envelope_sender == "bounces@news.example"
        assert "Ports get £40 million" in mail.part("plain")
    assert mails[0].message["Message-ID"] != mails[1].message["Message-ID"]


def test_nothing_of_it_is_counted_anywhere_and_no_reader_gets_it(parts: Parts, run: Run, sink: Sink) -> None:
    before = rows(parts)

    run("ed@example.org")

    assert rows(parts) == before
    assert [mail.recipients for mail in sink.wait_for(1)] == [("ed@example.org",)]


def test_an_address_that_is_refused_is_named_and_the_others_get_theirs(run: Run, sink: Sink) -> None:
    sink.answer("rcpt", "550 5.1.1 no such user", recipient="gone@example.org")

    result = run("--json", "gone@example.org", "ed@example.org")

    assert result.exit_code == 1
    gone, ed = json.loads(result.output)
    assert (gone["accepted"], gone["reply"]) == (False, "550 5.1.1 no such user")
    assert (ed["accepted"], ed["reply"][:3]) == (True, "250")


def test_a_server_that_is_not_there_is_said_of_every_address(parts: Parts, run: Run, sink: Sink) -> None:
    sink.answer("banner", "421 4.3.2 closing")

    result = run("ed@example.org", "chief@example.org")

    assert result.exit_code == 1
    assert result.output.count("NOT accepted (421 4.3.2 closing)") == 2


def test_a_server_that_goes_away_in_between_leaves_the_rest_unsent_and_says_so(run: Run, sink: Sink) -> None:
    sink.answer("rcpt", "421 4.3.2 closing", recipient="second@example.org")

    result = run("first@example.org", "second@example.org", "third@example.org")

    assert result.exit_code == 1
    assert [line.split(" (")[0] for line in result.output.splitlines()] == [
        "first@example.org: accepted",
        "second@example.org: NOT accepted",
        "third@example.org: NOT accepted",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["ed@example.org", "no address"], 2, "'no address': This does not look like an e-mail address."),
        ([], 2, "Missing argument"),
        ([f"a{number}@example.org" for number in range(21)], 2, "At most 20 addresses"),
        (["--digest", "77", "ed@example.org"], 1, "There is no issue 77."),
        (["--newsletter", "nothing", "ed@example.org"], 1, "There is no newsletter called"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_sent(
    run: Run, sink: Sink, arguments: list[str], code: int, sentence: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == code
    assert sentence in result.output
    assert sink.connections == 0


def test_an_issue_that_was_made_can_be_tried_again(parts: Parts, run: Run, sink: Sink) -> None:
    CliRunner().invoke(newsletter, ["digest", "send"], obj=Program(lambda: parts.settings, lambda _: parts))

    assert run("ed@example.org").exit_code == 1
    assert run("--digest", "1", "ed@example.org").exit_code == 0
    (mail,) = sink.wait_for(1)
    assert re.search(r"/digests/[\w-]{24}\n", mail.part("plain"))
