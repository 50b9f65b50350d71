"""`newsletter subscribers`: readers in and out by the command, what it says, and how it exits."""

import csv
import io
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import func, select, text

from newsletter_svc.db import Database
from newsletter_svc.delivery import suppressions
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import importing, newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Subscriber, Subscription
from newsletter_svc.subscribers.spreadsheets import guarded, unguarded
from tests.commands import invoke, succeed
from tests.conftest import POSTGRES
from tests.factories import make_reader
from tests.inbox import Inbox

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
HEADER = "email,name,newsletters\n"
Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run one command under `newsletter subscribers`."""
    return lambda *arguments: invoke(settings, "subscribers", *arguments)


@pytest.fixture
def taken(run: Run, tmp_path: Path) -> Callable[..., Result]:
    """Import a list: its text (in UTF-8) or its bytes."""

    def take(content: str | bytes, *options: str) -> Result:
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return run("import", str(path), *options)

    return take


Taken = Callable[..., Result]


def readers(run: Run, *options: str) -> list[list[str]]:
    """What an export says, without its header."""
    rows = list(csv.reader(io.StringIO(succeed(run("export", *options)))))
    assert rows[0] == HEADER.strip().split(",")
    return rows[1:]


def counts(result: Result) -> dict[str, int]:
    answer = json.loads(result.stdout)
    return {what: answer[what] for what in ("added", "changed", "unchanged", "repeated", "refused") if answer[what]}


def refusals(result: Result) -> list[tuple[int, str, str]]:
    assert result.exit_code == 1
    return [(each["line"], each["email"], each["reason"]) for each in json.loads(result.stdout)["refusals"]]


def add_weekly(database: Database) -> None:
    with database.transaction() as session:
        newsletters.add(session, "weekly", title="Weekly", now=NOW)


def leave(database: Database, email: str, slug: str = "briefing") -> None:
    with database.transaction() as session:
        found = people.find(session, parse(email))
        assert found is not None
        subscriptions.leave(session, found.id, newsletters.get(session, slug).id, now=NOW)


# A list in


def test_a_list_makes_readers(run: Run, taken: Taken, database: Database) -> None:
    add_weekly(database)
    said = succeed(
        taken(
            HEADER + "Ada@Example.ORG,Ada Lovelace,\ngrace@example.org,Grace,weekly\n"
            'eva@example.org,"Eva, née ""Ö""","weekly, briefing"\n',
            "--confirmed",
        )
    )
    assert said.splitlines()[-1] == "3 rows: 3 added, 0 changed, 0 unchanged, 0 repeated, 0 refused."
    assert sorted(readers(run)) == [
        ["Ada@example.org", "Ada Lovelace", "briefing"],
        ["eva@example.org", 'Eva, née "Ö"', "briefing weekly"],
        ["grace@example.org", "Grace", "weekly"],
    ]
    assert {row[0] for row in readers(run, "--newsletter", "weekly")} == {"grace@example.org", "eva@example.org"}


def test_without_consent_on_record_nobody_gets_anything(run: Run, taken: Taken, database: Database) -> None:
    said = succeed(taken(HEADER + "ada@example.org,Ada,\n"))
    assert "pending" in said
    assert readers(run) == []
    assert counts(taken(HEADER + "ada@example.org,Ada,\n", "--json")) == {"unchanged": 1}
    assert counts(taken(HEADER + "ada@example.org,Ada,\n", "--json", "--confirmed")) == {"changed": 1}
    assert readers(run) == [["ada@example.org", "Ada", "briefing"]]


def test_importing_again_changes_nothing(run: Run, taken: Taken) -> None:
    text = HEADER + "ada@example.org,Ada,\ngrace@example.org,,\n"
    assert counts(taken(text, "--confirmed", "--json")) == {"added": 2}
    before = readers(run)
    assert counts(taken(text, "--confirmed", "--json")) == {"unchanged": 2}
    assert readers(run) == before


def test_a_dry_run_counts_the_same_and_writes_nothing(taken: Taken, database: Database) -> None:
    lines = "".join(f"reader{number}@example.org,,\n" for number in range(importing.CHUNK + 5))
    text = HEADER + lines + "reader0@example.org,,\nnobody,,\n"
    dry = taken(text, "--confirmed", "--dry-run", "--json")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 0
    wet = taken(text, "--confirmed", "--json")
    assert counts(dry) == counts(wet) == {"added": importing.CHUNK + 5, "repeated": 1, "refused": 1}
    assert refusals(dry) == refusals(wet) == [(1008, "nobody", "This does not look like an e-mail address")]


def test_rows_that_cannot_be_taken_are_named_and_the_others_go_in(run: Run, taken: Taken) -> None:
    text = HEADER + (
        "ada@example.org,Ada,\n"
        "ada@@example.org,,\n"
        ",Nobody,\n"
        "grace@example.org,,daily\n"
        "eva@example.org\n"
        '"x"y@example.org,,\n'
        "\n"
        "mary@example.org,Mary,\n"
        '"open@example.org,,\n'
        "lost@example.org,,\n"
    )
    assert refusals(taken(text, "--confirmed", "--json")) == [
        (3, "ada@@example.org", "This does not look like an e-mail address"),
        (4, "", "Please give your e-mail address"),
        (5, "grace@example.org", "there is no newsletter called 'daily'"),
        (6, "", "has 1 field in place of 3"),
        (7, "", "is broken CSV up to line 7: ',' expected after '\"'"),
        (10, "", "is broken CSV up to line 11: unexpected end of data"),
    ]
    assert [row[0] for row in readers(run)] == ["ada@example.org", "mary@example.org"]


def test_what_is_refused_stands_in_the_error_output_with_its_line(taken: Taken) -> None:
    result = taken(HEADER + "ada@example.org,,\nad\x1b[31ma@,,\n", "--confirmed")
    assert result.exit_code == 1
    assert result.stderr == "Line 3: ad [31ma@: This does not look like an e-mail address\n"
    assert result.stdout == "2 rows: 1 added, 0 changed, 0 unchanged, 0 repeated, 1 refused.\n"


def test_odd_names_are_mended_and_not_refused(run: Run, taken: Taken) -> None:
    names = ["A\u202ed\u200ba", "Two\tlines\x07", "'=1+1", "Дмитро", "=?utf-8?q?x?=", "n" * 300]
    lines = "".join(f"reader{number}@example.org,{name},\n" for number, name in enumerate(names))
    succeed(taken(HEADER + lines, "--confirmed"))
    assert [row[1] for row in readers(run)] == [
        "Ada",
        "Two lines",
        "'=1+1",
        "Дмитро",
        "'= ?utf-8?q?x?=",
        "n" * 199 + "…",
    ]


def test_lines_for_one_reader_are_joined(run: Run, taken: Taken, database: Database) -> None:
    """Also where other chunks lie between them."""
    add_weekly(database)
    between = "".join(f"reader{number}@example.org,,\n" for number in range(importing.CHUNK))
    text = HEADER + "ada@example.org,,briefing\nADA@example.org,Ada,briefing\n" + between
    result = taken(text + "ada@example.org,,weekly\n", "--confirmed", "--json")
    assert counts(result) == {"added": importing.CHUNK + 1, "repeated": 2}
    assert readers(run)[0] == ["ada@example.org", "Ada", "briefing weekly"]


def test_suppressed_and_erased_addresses_stay_out(run: Run, taken: Taken, database: Database) -> None:
    with database.transaction() as session:
        suppressions.add(session, "ada@example.org", reason="hard_bounce 5.1.1", now=NOW)
        make_reader(session, "grace@example.org", now=NOW)
    succeed(run("erase", "grace@example.org"))
    text = HEADER + "Ada@example.org,,\nGrace@Example.org,,\n"
    assert refusals(taken(text, "--confirmed", "--json")) == [
        (2, "Ada@example.org", "is suppressed: hard_bounce 5.1.1"),
        (3, "Grace@example.org", "was erased"),
    ]
    assert readers(run) == []
    result = run("add", "grace@example.org", "--confirmed")
    assert (result.exit_code, result.output) == (1, "Error: grace@example.org was erased.\n")


def test_a_form_that_anybody_filled_in_does_not_let_an_erased_address_back(
    run: Run, taken: Taken, database: Database
) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=NOW)
    succeed(run("erase", "ada@example.org"))
    with database.transaction() as session:
        people.find_or_add(session, parse("ada@example.org"), now=NOW)
    assert [each[2] for each in refusals(taken(HEADER + "ada@example.org,,\n", "--confirmed", "--json"))] == [
        "was erased"
    ]
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=NOW)
    assert counts(taken(HEADER + "ada@example.org,,\n", "--confirmed", "--json")) == {"unchanged": 1}


def test_who_has_left_is_not_brought_back(run: Run, taken: Taken, database: Database) -> None:
    add_weekly(database)
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=NOW)
    leave(database, "ada@example.org")
    result = taken(HEADER + 'ada@example.org,,"briefing,weekly"\n', "--confirmed", "--json")
    assert refusals(result) == [(2, "ada@example.org", "has unsubscribed from briefing")]
    assert readers(run) == [["ada@example.org", "", "weekly"]]


def test_a_name_that_the_reader_gave_stays(run: Run, taken: Taken, database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", name="Ada", now=NOW)
        make_reader(session, "grace@example.org", now=NOW)
    result = taken(HEADER + "ada@example.org,Augusta,\ngrace@example.org,Grace,\n", "--confirmed", "--json")
    assert counts(result) == {"changed": 1, "unchanged": 1}
    assert [row[1] for row in readers(run)] == ["Ada", "Grace"]


# What files are like


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lists_come_in_many_forms(run: Run, taken: Taken, encoding: str, line_end: str, delimiter: str) -> None:
    text = " Email ,NAME,newsletters\nada@example.org,Ада,briefing\n".replace(",", delimiter).replace("\n", line_end)
    assert counts(taken(text.encode(encoding), "--confirmed", "--json")) == {"added": 1}
    assert readers(run) == [["ada@example.org", "Ада", "briefing"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Line 1 must name the columns, email,name,newsletters; there is none called email."),
        (b"ada@example.org,Ada,\n", "Line 1 must name the columns"),
        (b"email,name,email\n", "Line 1 names the column email twice."),
        (b'email,"name\n', "Line 1 is broken CSV: unexpected end of data."),
        ("email\nada@example.org\ncafé@example.org\n".encode("latin-1"), "Line 3 is not UTF-8 (byte 0xe9)"),
        (b"email\r\n" + b"ada@example.org\r\n" * 30_000 + b"\xff", "Line 30002 is not UTF-8 (byte 0xff)"),
        (b"\xff\xfe" + "email\nada@example.org\n".encode("utf-16-le") + b"a", "Line 3 is not UTF-16 (byte 0x61)"),
        ("email\nada@example.org".encode("utf-16-le"), "Line 1 holds a NUL"),
        (b"email\n" + b"a" * 1_000_000, "Line 2 is longer than 65,536 characters."),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_refused_before_anything_is_done(
    taken: Taken, database: Database, content: bytes, reason: str
) -> None:
    result = taken(content, "--confirmed")
    assert result.exit_code == 1
    assert reason in result.output
    assert result.output.endswith("Nothing was imported.\n")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 0


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "no.csv"))
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {tmp_path}/no.csv cannot be read: No such file or directory.\n",
    )


def test_columns_that_nobody_knows_are_left_alone_and_named(run: Run, taken: Taken) -> None:
    result = taken("tags,email\nvip,ada@example.org\n", "--confirmed")
    assert result.stderr == "Columns left alone: tags\n"
    assert readers(run) == [["ada@example.org", "", "briefing"]]
    again = taken("tags,email\nvip,ada@example.org\n", "--confirmed", "--json")
    assert json.loads(again.stdout)["ignored_columns"] == ["tags"]


def test_a_long_import_says_how_far_it_is(taken: Taken) -> None:
    lines = "".join(f"reader{number}@example.org,,\n" for number in range(3 * importing.CHUNK))
    said = succeed(taken(HEADER + lines, "--confirmed")).splitlines()
    assert said[0].endswith(" %: 1,000 rows")
    assert said[-1].startswith("3,000 rows: 3,000 added")


def test_on_a_terminal_there_is_a_bar_with_what_is_refused_above_it(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown = taken(HEADER + "nobody[bold],,\nada@example.org,,\n", "--confirmed").stdout
    refused = shown.index("Line 2: nobody[bold]: This does not look like an e-mail address")
    assert refused < shown.index("2 rows", refused)
    assert "100%" in shown
    assert shown.endswith("2 rows: 1 added, 0 changed, 0 unchanged, 0 repeated, 1 refused.\n")


def test_an_import_that_the_database_stops_keeps_what_is_in_and_goes_on(
    run: Run, taken: Taken, database: Database
) -> None:
    """A subscriber in the second chunk cannot be written; no chunk is in by half."""
    with database.transaction() as session:
        session.execute(text(_REFUSING if POSTGRES else _REFUSING_IN_SQLITE))
        if POSTGRES:
            session.execute(text(_REFUSING_FROM_NOW_ON))
    lines = "".join(f"reader{number}@example.org,,\n" for number in range(importing.CHUNK))
    content = HEADER + lines + "ada@example.org,,\nblocked@example.org,,\n"
    result = taken(content, "--confirmed")
    assert result.exit_code == 1
    assert "import the list again" in result.stderr
    with database.transaction() as session:
        session.execute(text("DROP TRIGGER refusing" + (" ON subscribers" if POSTGRES else "")))
        assert session.scalar(select(func.count()).select_from(Subscriber)) == importing.CHUNK
        assert session.scalar(select(func.count()).select_from(Subscription)) == importing.CHUNK
    assert counts(taken(content, "--confirmed", "--json")) == {"added": 2, "unchanged": importing.CHUNK}


_REFUSING_IN_SQLITE = """
    CREATE TRIGGER refusing BEFORE INSERT ON subscribers WHEN NEW.email = 'blocked@example.org'
    BEGIN SELECT RAISE(ABORT, 'no'); END
"""
_REFUSING = """
    CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$
    BEGIN
        IF NEW.email = 'blocked@example.org' THEN RAISE EXCEPTION 'no'; END IF;
        RETURN NEW;
    END $$ LANGUAGE plpgsql
"""
_REFUSING_FROM_NOW_ON = """
    CREATE TRIGGER refusing BEFORE INSERT ON subscribers FOR EACH ROW EXECUTE FUNCTION refuse()
"""


# One by one


def test_adding_asks_for_the_consent(run: Run, parts: Parts, inbox: Inbox) -> None:
    said = succeed(run("add", "ada@example.org", "--name", "Ada"))
    assert said == "ada@example.org: added. A mail asks for the confirmation.\n"
    assert readers(run) == []
    client_path = inbox.newest().link
    assert "confirms your subscription to Briefing" in " ".join(inbox.newest().text.split())
    assert client_path.startswith("/magic-link/")


def test_adding_with_consent_on_record_sends_nothing(run: Run, database: Database, inbox: Inbox) -> None:
    add_weekly(database)
    said = succeed(run("add", "Ada@Example.org", "--confirmed", "--newsletter", "weekly", "--newsletter", "briefing"))
    assert said == "Ada@example.org: added.\n"
    assert readers(run) == [["Ada@example.org", "", "briefing weekly"]]
    assert succeed(run("add", "ada@example.org", "--confirmed")) == "ada@example.org: unchanged.\n"
    assert inbox.all() == []


def test_adding_what_cannot_be_says_why(run: Run) -> None:
    for arguments, reason in (
        (["nobody"], "Error: nobody: This does not look like an e-mail address.\n"),
        (
            ["ada@example.org", "--newsletter", "daily"],
            "Error: ada@example.org: there is no newsletter called 'daily'.\n",
        ),
    ):
        result = run("add", *arguments)
        assert (result.exit_code, result.output) == (1, reason)


# A list out


def test_only_who_gets_something_is_exported(run: Run, database: Database) -> None:
    with database.transaction() as session:
        for name in ("ada", "grace", "eva"):
            make_reader(session, f"{name}@example.org", now=NOW)
        people.find_or_add(session, parse("pending@example.org"), now=NOW)
    leave(database, "grace@example.org")
    assert [row[0] for row in readers(run)] == ["ada@example.org", "eva@example.org"]


def test_an_export_is_imported_as_it_was(run: Run, taken: Taken, database: Database) -> None:
    names = ["=1+1", "'=1+1", "+49 30", "-", "@ada", "'", 'say "hi", then; go', "Zoë"]
    with database.transaction() as session:
        for number, name in enumerate(names):
            make_reader(session, f"reader{number}@example.org", name=name, now=NOW)
        make_reader(session, "=cmd@example.org", now=NOW)
    exported = succeed(run("export"))
    cells = [cell for row in csv.reader(io.StringIO(exported)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]
    for email in [*(f"reader{number}@example.org" for number in range(len(names))), "=cmd@example.org"]:
        with database.transaction() as session:
            session.delete(people.find(session, parse(email)))
    succeed(taken(exported, "--confirmed"))
    assert sorted(succeed(run("export")).splitlines()) == sorted(exported.splitlines())


def test_an_exported_file_is_for_its_owner_alone(run: Run, database: Database, tmp_path: Path) -> None:
    with database.transaction() as session:
        make_reader(session, "ada@example.org", now=NOW)
    target = tmp_path / "readers.csv"
    assert succeed(run("export", "--output", str(target))) == f"1 reader written to {target}.\n"
    assert target.read_text(encoding="utf-8") == HEADER + "ada@example.org,,briefing\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.glob("readers.csv*")) == [target]


def test_an_export_that_cannot_be_written_leaves_nothing_half(run: Run, tmp_path: Path) -> None:
    result = run("export", "--output", str(tmp_path / "no" / "readers.csv"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory." in result.output


def test_an_export_of_an_unknown_newsletter_is_refused(run: Run) -> None:
    result = run("export", "--newsletter", "daily")
    assert (result.exit_code, result.output) == (1, "Error: There is no newsletter called 'daily'.\n")


@given(some.text(alphabet=some.sampled_from("'=+-@\t\r\na ＝")) | some.text())
def test_no_guarded_cell_runs_and_every_one_comes_back(cell: str) -> None:
    assert guarded(cell)[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}
    assert unguarded(guarded(cell)) == cell
