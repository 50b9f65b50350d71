"""Reading article files: what goes in, and how a broken one is named."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.articles.cleaning import clean_text
from newsletter_svc.articles.drafts import LIMITS, ArticleDraft, parse_date
from newsletter_svc.articles.importing import MAX_FILE_BYTES, Reading, read_files

BRIEFING = """---
title: "The Minister’s “Quiet” Budget: £40 Million for Ports"
url: https://news.example/quiet-budget/
author: Iris Vandermeer
published: 2026-11-20T09:00:00+01:00
summary: 'Ports gain, railways wait: what the “quiet” budget holds.'
image: /media/quiet-budget.jpg
image_alt: A harbour at dawn
---

The ministry’s budget gives ports £40 million—twice last year’s sum.

“We have waited,” said one official, “and now we build.”

Railways, by contrast, get nothing; Кyiv and Łódź are watching.
"""


def read(tmp_path: Path, content: str | bytes, name: str = "article.md") -> Reading:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_files([path])


def only_draft(reading: Reading) -> ArticleDraft:
    assert reading.problems == ()
    (draft,) = reading.drafts
    return draft


def complaints(reading: Reading) -> list[tuple[int | None, str]]:
    assert reading.drafts == ()
    return [(problem.line, problem.reason) for problem in reading.problems]


def with_front_matter(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "", "Body."])


def test_a_briefing_goes_in_whole(tmp_path: Path) -> None:
    draft = only_draft(read(tmp_path, BRIEFING))

    assert draft.title == "The Minister’s “Quiet” Budget: £40 Million for Ports"
    assert draft.published == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    assert (draft.author, draft.image, draft.image_alt) == (
        "Iris Vandermeer",
        "/media/quiet-budget.jpg",
        "A harbour at dawn",
    )
    assert draft.body.split("\n\n") == BRIEFING.split("---\n\n")[1].strip().split("\n\n")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    windows = b"\xef\xbb\xbf" + BRIEFING.replace("\n", "\r\n").encode()

    assert only_draft(read(tmp_path, windows)) == only_draft(read(tmp_path, BRIEFING))


def test_titles_that_yaml_would_read_as_numbers_or_dates_stay_text(tmp_path: Path) -> None:
    titles = [only_draft(read(tmp_path, with_front_matter(f"title: {raw}"))).title for raw in ("2026", "Yes", "1e3")]

    assert titles == ["2026", "Yes", "1e3"]


def test_json_holds_one_article_or_a_list(tmp_path: Path) -> None:
    article = {"title": "One", "body": "Body ’ £", "published": "2026-11-20"}

    assert only_draft(read(tmp_path, json.dumps(article), "one.json")).body == "Body ’ £"
    two = read(tmp_path, json.dumps([article, {**article, "title": "Two", "author": None}]), "two.json")
    assert [draft.title for draft in two.drafts] == ["One", "Two"]


def test_every_problem_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    broken = with_front_matter("titel: Typo", "published: next Tuesday", "url: javascript:alert(1)", "author: [a, b]")

    found = complaints(read(tmp_path, broken))

    assert [line for line, _ in found] == [2, 1, 4, 5, 3]
    reasons = " / ".join(reason for _, reason in found)
    assert "'titel' is not a key of an article" in reasons
    assert "title is missing" in reasons
    assert "url must be an http(s) address" in reasons
    assert "author must be text" in reasons
    assert "'next Tuesday' is no date" in reasons


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("No front matter at all.", 1, "the first line must be ---"),
        ("", 1, "the first line must be ---"),
        ("---\ntitle: Open\n", 1, "not closed"),
        ('---\nauthor: A\ntitle: "never closed\n---\nBody.', 3, "not valid YAML"),
        ("---\ntitle: a: b\n---\nBody.", 2, "not valid YAML"),
        ("---\n- a list\n---\nBody.", 2, "'key: value'"),
        ("---\ntitle: T\nauthor: A\ntitle: U\n---\nBody.", 4, "a second time"),
        ("---\ntitle: T\nbody: here\n---\nBody.", 3, "stands below"),
        ("---\ntitle: '  '\n---\nBody.", 2, "title is empty"),
        ("---\ntitle:\n---\nBody.", 2, "title is empty"),
        ("---\ntitle: T\n---\n\n  \n", 3, "body is empty"),
        ("---\ntitle: T\npublished: 2026-02-30\n---\nBody.", 3, "is no date"),
        ("---\ntitle: T\npublished: 2026-13-01T00:00:00Z\n---\nBody.", 3, "is no date"),
        ("---\ntitle: " + "x" * 301 + "\n---\nBody.", 2, "title has 301 characters; 300 are allowed"),
        ("---\ntitle: T\n? " + "[" * 2000 + "\n---\nBody.", None, "not valid YAML"),
    ],
)
def test_a_broken_markdown_file_is_named_with_its_line(
    tmp_path: Path, content: str, line: int | None, words: str
) -> None:
    ((found_line, reason),) = complaints(read(tmp_path, content))

    assert words in reason
    if line is not None:
        assert found_line == line


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ('{"title": "T",\n "body": }', 2, "not valid JSON"),
        ("", 1, "not valid JSON"),
        ("[" * 100_000, None, "not valid JSON"),
        ("1" * 5000, None, "not valid JSON"),
        ('"text"', 1, "must be an object"),
        ('[{"title": "T", "body": "B"},\n 5]', 2, "must be an object"),
        ('{\n"body": "\\"title\\": no",\n"title": 5}', 3, "title must be text"),
        ('{"title": "T",\n"body": ["a"]}', 2, "body must be text"),
        ('{"title": "T",\n\n"boddy": "B", "body": "B"}', 3, "'boddy' is not a key"),
    ],
)
def test_broken_json_is_named_with_its_line(tmp_path: Path, content: str, line: int | None, words: str) -> None:
    (problem,) = read(tmp_path, content, "article.json").problems

    assert words in problem.reason
    assert problem.line == line


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    ((line, reason),) = complaints(read(tmp_path, b"---\ntitle: T\n---\nThe minister\x92s plan"))

    assert line == 4
    assert "not UTF-8 (byte 0x92)" in reason


def test_a_broken_file_does_not_keep_the_others_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("nothing")
    (tmp_path / "b.md").write_text(BRIEFING, encoding="utf-8")
    (tmp_path / "c.json").write_text('[{"title": "No body"}, {"title": "Good", "body": "B"}]')
    (tmp_path / "d.txt").write_text("x")

    reading = read_files([tmp_path / name for name in ("a.md", "b.md", "c.json", "d.txt", "missing.md")])

    assert [draft.title for draft in reading.drafts] == [only_draft(read(tmp_path, BRIEFING, "b.md")).title, "Good"]
    assert [problem.path.name for problem in reading.problems] == ["a.md", "c.json", "d.txt", "missing.md"]
    assert str(reading.problems[1]) == f"{tmp_path}/c.json:1: body is missing"
    assert str(reading.problems[3]).endswith("missing.md: cannot be read: No such file or directory")


def test_a_directory_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "huge.md").write_bytes(b"x" * (MAX_FILE_BYTES + 1))

    found = complaints(read_files([tmp_path / "folder.md", tmp_path / "huge.md"]))

    assert [reason for _, reason in found] == ["cannot be read: Is a directory", "is larger than 5,000,000 bytes"]


def test_control_characters_are_taken_out_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    noisy = "---\ntitle: A\u2028B\x00\u202eC\u200d\nauthor: [x]\n---\nBo\x08dy\x0cend"

    assert complaints(read(tmp_path, noisy)) == [(3, "author must be text")]
    fine = only_draft(read(tmp_path, noisy.replace("[x]", "x")))
    assert (fine.title, fine.body) == ("A BC\u200d", "Body end")


def test_lone_surrogates_in_json_are_taken_out(tmp_path: Path) -> None:
    draft = only_draft(read(tmp_path, r'{"title": "A\ud800B \ud83d\ude00", "body": "x\u0000y"}', "a.json"))

    assert (draft.title, draft.body) == ("AB 😀", "xy")


@given(st.text())
def test_cleaned_text_can_always_be_written_and_cleaning_twice_changes_nothing(text: str) -> None:
    clean = clean_text(text)

    clean.encode("utf-8")
    assert clean_text(clean) == clean
    assert not set(clean) & {"\r", "\x00", "\x1b", "\x85", "\u202e", "\ufeff"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T09:00:00Z", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("2026-11-24 09:00", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("2026-11-24T23:30:00-05:00", datetime(2026, 11, 25, 4, 30, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc(text: str, moment: datetime) -> None:
    assert parse_date(text) == moment


@pytest.mark.parametrize("text", ["", "2026", "24.11.2026", "2026-11-31", "0001-01-01T00:00:00+14:00", "tomorrow"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - The caller adds the words.
        parse_date(text)


def test_every_field_of_a_draft_has_a_limit() -> None:
    assert set(LIMITS) == set(ArticleDraft.__dataclass_fields__)
