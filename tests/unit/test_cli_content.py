"""The commands of editors and of cron: articles, newsletters, digests; exit codes and what they print."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from newsletter_svc.app import create_app
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.digests.models import Digest, Edition
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import make_articles, make_reader

ARTICLE = """---
title: "The “Quiet” Budget"
url: /articles/quiet-budget
---
Ports get £40 million.
"""
Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run one command as a process of its own would: with its own settings, database connections and sender."""
    return lambda *arguments: invoke(settings, *arguments)


def invoke(settings: Settings, *arguments: str) -> Result:
    made: list[Parts] = []

    def assemble(settings: Settings) -> Parts:
        made.append(create_app(settings).extensions[EXTENSION])
        return made[-1]

    try:
        # The command's main function sends the log to stderr; here it must not mix with the answer.
        with capture_logs():
            return CliRunner().invoke(newsletter, arguments, obj=Program(lambda: settings, assemble))
    finally:
        for parts in made:
            parts.database.dispose()


def succeed(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def write(database: Database, *titles: str, readers: int = 0) -> None:
    now = utcnow()
    with database.transaction() as session:
        make_articles(session, *titles, now=now)
        for number in range(readers):
            make_reader(session, f"reader{number}@example.org", now=now)


def count(database: Database, table: type) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def test_articles_go_in_and_a_broken_file_is_named_with_exit_1(run: Run, tmp_path: Path) -> None:
    good, broken = tmp_path / "good.md", tmp_path / "broken.md"
    good.write_text(ARTICLE, encoding="utf-8")
    broken.write_text("---\ntitle: T\npublished: soon\n---\nBody.", encoding="utf-8")

    result = run("articles", "add", str(broken), str(good))

    assert result.exit_code == 1
    assert result.stdout == "created    quiet-budget  The “Quiet” Budget\n"
    assert result.stderr == (
        f"refused    {broken}:3: published 'soon' is no date; write 2026-11-24 or 2026-11-24T09:00:00Z\n"
    )
    assert succeed(run("articles", "add", str(good))).startswith("unchanged")


def test_articles_as_json_for_machines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "good.md"
    path.write_text(ARTICLE, encoding="utf-8")

    answer = json.loads(succeed(run("articles", "add", "--json", str(path))))

    assert answer == {
        "articles": [{"outcome": "created", "slug": "quiet-budget", "title": "The “Quiet” Budget"}],
        "problems": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("articles", "add"),
        ("newsletters", "set", "briefing", "--at", "25:00"),
        ("newsletters", "set", "briefing", "--weekly", "Montag"),
        ("newsletters", "set", "briefing", "--daily", "--tz", "Europe/Londno"),
        ("newsletters", "set", "briefing", "--daily", "--weekly", "monday"),
        ("newsletters", "set", "briefing", "--at", "08:00"),
        ("digest", "preview", "--format", "pdf"),
        ("digest", "status", "seven"),
    ],
)
def test_wrong_usage_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("articles", "add", "--newsletter", "nope", "x.md"), "There is no newsletter called 'nope'."),
        (("newsletters", "set", "nope", "--daily"), "There is no newsletter called 'nope'."),
        (("newsletters", "add", "briefing"), "There is a newsletter called 'briefing' already."),
        (("newsletters", "add", "No Slug"), "cannot be a slug"),
        (("digest", "send", "--newsletter", "nope"), "There is no newsletter called 'nope'."),
        (("digest", "preview", "--digest", "4711"), "There is no issue 4711."),
        (("digest", "status", "4711"), "There is no issue 4711."),
    ],
)
def test_what_does_not_exist_is_exit_1_with_a_sentence(run: Run, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert words in result.stderr


def test_a_schedule_is_set_and_then_changed_bit_by_bit(run: Run, database: Database) -> None:
    arguments = ("ports", "--weekly", "tue", "--at", "18:30", "--tz", "america/new_york")
    first = succeed(run("newsletters", "add", *arguments))
    second = succeed(run("newsletters", "set", "ports", "--at", "06:00"))
    third = succeed(run("newsletters", "set", "ports", "--daily"))

    assert first.startswith("ports: weekly on Tuesday at 18:30 America/New_York, next on ")
    assert second.startswith("ports: weekly on Tuesday at 06:00 America/New_York, next on ")
    assert third.startswith("ports: daily at 06:00 America/New_York, next on ")
    assert count(database, Edition) == 1
    rows = json.loads(succeed(run("newsletters", "list", "--json")))
    assert [(row["slug"], row["title"]) for row in rows] == [("briefing", "Briefing"), ("ports", "Ports")]
    assert rows[0]["schedule"] == "sent by hand"


def test_a_daily_schedule_has_defaults(run: Run) -> None:
    assert succeed(run("newsletters", "set", "briefing", "--daily")).startswith(
        "briefing: daily at 07:00 Europe/London"
    )


def test_preview_shows_what_send_would_send_and_stores_nothing(run: Run, database: Database, tmp_path: Path) -> None:
    write(database, "One")
    target = tmp_path / "preview.eml"

    assert "<h1" in succeed(run("digest", "preview"))
    assert "Ports get £40 million" in succeed(run("digest", "preview", "--format", "text"))
    succeed(run("digest", "preview", "--format", "eml", "--output", str(target)))

    assert b"List-Unsubscribe: <http" in target.read_bytes()
    assert (count(database, Digest), count(database, Edition)) == (0, 0)


def test_preview_of_an_issue_shows_it_as_it_was_made(run: Run, database: Database) -> None:
    write(database, "One")
    before = run("digest", "preview").output
    succeed(run("digest", "send"))

    assert run("digest", "preview", "--digest", "1").output == before
    assert "nothing to preview" in run("digest", "preview").stderr


def test_send_without_wait_owes_the_issue_and_returns(run: Run, database: Database) -> None:
    write(database, "One", "Two", readers=3)

    assert "issue 1 with 2 articles, for 3 readers" in succeed(run("digest", "send"))
    assert "Issue 1: 3 pending" in succeed(run("digest", "status"))


def test_send_with_nothing_new_says_so_and_is_exit_0(run: Run, database: Database) -> None:
    assert "nothing new, so no issue was made" in succeed(run("digest", "send", "--wait"))
    assert count(database, Digest) == 0
    assert "no issue has been made" in succeed(run("digest", "status"))


def test_send_and_wait_sends_by_itself(run: Run, database: Database, settings: Settings) -> None:
    write(database, "One", readers=50)

    output = succeed(run("digest", "send", "--wait"))

    assert output.splitlines()[-2:] == ["50 of 50", "Issue 1: 50 sent"]
    assert settings.mailbox_dir is not None
    assert len(list(settings.mailbox_dir.glob("*.eml"))) == 50


def test_send_and_wait_finishes_an_issue_that_was_cut_short(run: Run, database: Database) -> None:
    write(database, "One", readers=5)
    succeed(run("digest", "send"))

    output = succeed(run("digest", "send", "--wait"))

    assert "nothing new" in output
    assert "Issue 1: 5 sent" in output


def test_send_and_wait_answers_machines_with_counts(run: Run, database: Database) -> None:
    write(database, "One", readers=2)

    answer = json.loads(succeed(run("digest", "send", "--wait", "--json")))

    assert (answer["outcome"], answer["total"], answer["counts"]["sent"]) == ("published", 2, 2)
    assert json.loads(succeed(run("digest", "status", "--json")))["counts"]["sent"] == 2


def test_who_is_unsettled_is_named_with_exit_1(database: Database, settings: Settings) -> None:
    write(database, "One", readers=3)
    unreachable = replace(settings, mail_server="127.0.0.1", mail_port=1)

    result = invoke(unreachable, "digest", "send", "--wait")

    assert result.exit_code == 1
    assert "Issue 1: 3 retry" in result.stdout
    for number in range(3):
        assert f"retry: reader{number}@example.org (server_unavailable; due at " in result.stdout


def test_an_unknown_outcome_is_named_with_exit_1(run: Run, database: Database) -> None:
    write(database, "One", readers=2)
    succeed(run("digest", "send"))
    with database.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.recipient == "reader0@example.org")
            .values(status="unknown", reason="no_reply", due_at=utcnow() + timedelta(hours=1))
        )

    result = run("digest", "send", "--wait")

    assert result.exit_code == 1
    assert "Issue 1: 1 sent, 1 unknown" in result.stdout
    assert "unknown: reader0@example.org (no_reply; due at " in result.stdout


def test_run_due_twice_makes_one_issue(run: Run, database: Database) -> None:
    write(database, "One", readers=1)
    assert "No newsletter has a schedule" in succeed(run("digest", "run-due"))
    succeed(run("newsletters", "set", "briefing", "--daily"))
    with database.transaction() as session:
        session.execute(update(Edition).values(schedule_set_at=utcnow() - timedelta(days=2)))

    assert "issue 1 with 1 article, for 1 reader" in succeed(run("digest", "run-due"))
    (again,) = json.loads(succeed(run("digest", "run-due", "--json")))

    assert (again["newsletter"], again["outcome"]) == ("briefing", "already_run")
    assert count(database, Digest) == 1
