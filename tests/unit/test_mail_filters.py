"""What e-mail templates call beyond Jinja."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import filters


@given(st.text(max_size=600))
def test_wrapping_loses_and_adds_no_word(text: str) -> None:
    assert filters.wrap(text).split() == text.split()


def test_lines_break_at_spaces_and_never_inside_an_address() -> None:
    link = "https://news.example.org/" + "a-b/" * 40
    lines = filters.wrap(f"Please read {link} before the committee meets on Thursday, or after it.").split("\n")
    assert link in lines
    assert all(len(line) <= 72 for line in lines if line != link)


@pytest.mark.parametrize(
    ("line", "lead"),
    [("- ", "  "), ("10. ", "    "), ("> ", "> "), ("> > ", "> > "), ("> - ", "> - ")],
)
def test_lists_hang_and_quotes_are_marked_on_every_line(line: str, lead: str) -> None:
    first, second, *_ = filters.wrap(line + "word " * 30).split("\n")
    assert first.startswith(line + "word")
    assert second.startswith(lead + "word")


@pytest.mark.parametrize("name", ["Ada Lovelace", "J. R. Hartley", "O’Brien", "Žofie", "山田 太郎", "St. John"])
def test_names_are_greeted(name: str) -> None:
    assert filters.greeting_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "Win at evil.example",
        "https://evil.example",
        "WWW.evil",
        "write to me@evil.example",
        "t\u200bme.evil.example",
        None,
        "",
    ],
)
def test_what_reads_as_a_link_is_no_name(name: str | None) -> None:
    assert filters.greeting_name(name) == ""


def test_a_tidy_text_has_single_blank_lines_and_no_trailing_spaces() -> None:
    assert filters.tidy("\n\na  \n\n\n\nb\n \n\n") == "a\n\nb\n"
