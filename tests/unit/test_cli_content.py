"""The commands of editors and of cron: articles, newsletters, digests; exit codes and what they print."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import func, select, update

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.digests.models import Digest, Edition
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import choices
from tests.commands import invoke, succeed
from tests.factories import fill

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
        ("newsletters", "set", "briefing", "--tz", "Asia/Tokyo"),
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


def test_a_newsletter_can_come_daily_and_weekly_until_one_of_them_ends(run: Run) -> None:
    both = succeed(run("newsletters", "set", "briefing", "--daily", "--weekly", "friday", "--at", "06:30"))
    moved = succeed(run("newsletters", "set", "briefing", "--tz", "Asia/Tokyo"))
    weekly = succeed(run("newsletters", "set", "briefing", "--weekly", "monday"))

    assert re.match("briefing: daily at 06:30 Europe/London, .*; weekly on Friday at 06:30 Europe/London, next", both)
    assert re.match("briefing: daily at 06:30 Asia/Tokyo, .*; weekly on Friday at 06:30 Asia/Tokyo, next", moved)
    assert re.match("briefing: weekly on Monday at 06:30 Asia/Tokyo, next on [0-9-]+$", weekly)


def test_the_status_names_zones_to_come_and_nobody_waits_for_them(run: Run, database: Database) -> None:
    fill(database, "One", readers=2)
    succeed(run("newsletters", "set", "briefing", "--daily", "--at", "00:00", "--tz", "UTC"))
    with database.transaction() as session:
        session.execute(update(Edition).values(schedule_set_at=utcnow() - timedelta(days=2)))
        # Half a day behind UTC: what is 23:00 today there is tomorrow here, whenever this runs.
        choices.set_time(session, 2, send_hour=23, timezone="Etc/GMT+12")
    succeed(run("digest", "run-due"))
    waited = succeed(run("digest", "send", "--wait"))

    assert "1 pending" in waited
    assert "Waiting for their readers' hour: 1." in waited
    assert re.search(r"\(00:00 UTC\): 1 reader, served\n .* \(23:00 Etc/GMT\+12\): 1 reader, 1 of them pending", waited)


def test_preview_shows_what_send_would_send_and_stores_nothing(run: Run, database: Database, tmp_path: Path) -> None:
    fill(database, "One")
    target = tmp_path / "preview.eml"

    assert "<h1" in succeed(run("digest", "preview"))
    text = succeed(run("digest", "preview", "--format", "txt"))
    assert "Ports get £40 million" in text
    assert succeed(run("digest", "preview", "--format", "text")) == text
    succeed(run("digest", "preview", "--format", "eml", "--output", str(target)))

    assert b"List-Unsubscribe: <http" in target.read_bytes()
    assert (count(database, Digest), count(database, Edition)) == (0, 0)


def test_preview_of_an_issue_shows_it_as_it_was_made(run: Run, database: Database) -> None:
    fill(database, "One")
    before = run("digest", "preview").output
    succeed(run("digest", "send"))

    made = run("digest", "preview", "--digest", "1").output
    # Its address in the browser is known once it is made.
    assert re.sub(r"/digests/[\w-]{24}", "/preview/link", made) == before
    assert "nothing to preview" in run("digest", "preview").stderr


def test_preview_prints_the_address_of_a_page(run: Run, database: Database, settings: Settings) -> None:
    fill(database, "One")

    address = succeed(run("digest", "preview", "--open")).strip()

    assert address.startswith(f"{settings.public_url}/preview/")
    client = create_app(settings).test_client()
    assert "One" in client.get(address.removeprefix(settings.public_url)).text


def test_run_due_twice_makes_one_issue(run: Run, database: Database) -> None:
    fill(database, "One", readers=1)
    assert "No newsletter has a schedule" in succeed(run("digest", "run-due"))
    succeed(run("newsletters", "set", "briefing", "--daily"))
    with database.transaction() as session:
        session.execute(update(Edition).values(schedule_set_at=utcnow() - timedelta(days=2)))

    assert "issue 1 with 1 article, for 1 reader" in succeed(run("digest", "run-due"))
    (again,) = json.loads(succeed(run("digest", "run-due", "--json")))

    assert (again["newsletter"], again["outcome"]) == ("briefing", "already_run")
    assert count(database, Digest) == 1
