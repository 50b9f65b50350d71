"""Sentences found by their names, with their gaps filled; and an operator's own ones, laid over ours."""

from pathlib import Path

import pytest

from newsletter_svc.words import FILE, BadWords, ReaderError, Saying, Words, shipped, typed


def laid_over(folder: Path, text: str) -> Words:
    (folder / FILE).write_text(text, encoding="utf-8")
    return shipped().with_those_of(folder)


def test_a_sentence_is_said_with_its_gaps_filled_and_numbers_as_the_language_writes_them() -> None:
    pause = Saying("choices.pause", {"most": 52, "weeks": 4000})
    assert shipped().say(pause) == "A pause lasts 1 to 52 weeks, not 4000."
    assert shipped().say(pause, number="{:,}".format) == "A pause lasts 1 to 52 weeks, not 4,000."


def test_what_fills_a_gap_is_never_read_as_a_gap() -> None:
    assert "The {weeks} Times" in shipped().say(Saying("sentences.subscribed", {"publication": "The {weeks} Times"}))


def test_operators_read_an_error_in_our_own_words() -> None:
    assert (
        str(ReaderError("subscription.unknown_newsletter", newsletter="gossip"))
        == "There is no newsletter called 'gossip'."
    )


def test_what_was_typed_is_shown_short_and_without_what_turns_or_hides_text() -> None:
    assert typed("abc\u202edef\0" + "x" * 99, limit=9) == "abc\ufffddef\ufffdx"


def test_a_file_takes_the_place_of_some_sentences_and_the_others_stay(tmp_path: Path) -> None:
    own = laid_over(tmp_path, '[kit]\nsending = "Wird gesendet …"\n[browsers]\non_system = "{system}: {browser}"')
    assert own.say(Saying("kit.sending")) == "Wird gesendet …"
    assert own.say(Saying("browsers.on_system", {"browser": "Firefox", "system": "Linux"})) == "Linux: Firefox"
    assert own.say(Saying("kit.checking")) == "Checking…"
    assert set(own.section("kit")) == set(shipped().section("kit"))


def test_without_a_file_all_words_are_ours(tmp_path: Path) -> None:
    assert shipped().with_those_of(tmp_path) is shipped().with_those_of(None) is shipped()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[kit]\nsendign = "x"', "words.toml: kit.sendign replaces nothing."),
        ('sending = "x"', "words.toml: sending replaces nothing."),
        ("[kit]\nsending = 3", "words.toml: kit.sending is no text."),
        ('[kit]\nsending = " "', "words.toml: kit.sending is no text."),
        ('[kit.sending]\nnow = "x"', "words.toml: kit.sending is no text."),
        ('[kit]\nretry = "{whenever}"', "words.toml: kit.retry has a gap that nobody fills: {whenever}."),
        ('[kit]\nretry = "{when.__class__}"', "words.toml: kit.retry has a gap that nobody fills: {when.__class__}."),
        ('[choices]\npause = "{weeks:>9}"', "words.toml: choices.pause has a gap that nobody fills: {weeks:>9}."),
        ('[kit]\nretry = "in {"', "words.toml: kit.retry has a brace too many or too few"),
        ("[kit", "words.toml: "),
    ],
)
def test_a_broken_file_is_named_with_its_sentence_and_its_fault(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadWords) as caught:
        laid_over(tmp_path, text)
    assert caught.value.problems[0].startswith(said), caught.value.problems


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(BadWords, match=r"^words\.toml: "):
        shipped().with_those_of(tmp_path)
