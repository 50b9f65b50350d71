"""What keeps a mail narrow where its styles are left out, and what of it Outlook and everybody else are shown."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import unstyled

WORD = "Donaudampfschifffahrtsgesellschaftskapitänsmütze"
OTHERS = re.compile(r"<!--\[if !mso\]><!-->(.*?)<!--<!\[endif\]-->", re.DOTALL)


def fitted(markup: str) -> str:
    return unstyled.fitted(f"<html><head></head><body>{markup}</body></html>").partition("<body>")[2][
        : -len("</body></html>")
    ]


def for_outlook(html: str) -> str:
    return re.sub(r"<!--\[if mso\]>(.*?)<!\[endif\]-->", r"\1", OTHERS.sub("", html), flags=re.DOTALL)


def for_others(html: str) -> str:
    return re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)


def test_outlook_gets_a_picture_as_it_was_and_the_others_a_smaller_width_that_the_style_makes_up_for() -> None:
    picture = '<img class="picture" src="https://x.example/a.jpg" alt="A port" width="520" style="width: 100%;">'
    html = fitted(f"<p>{picture}</p>")
    assert for_outlook(html) == f"<p>{picture}</p>"
    assert for_others(html) == f"<p>{picture.replace('520', '220')}</p>"


def test_a_picture_whose_style_says_no_width_gets_its_own_there() -> None:
    html = fitted('<img src="https://x.example/a.jpg" alt="" width="300" height="200" style="max-width: 100%;">')
    assert for_others(html) == (
        '<img src="https://x.example/a.jpg" alt="" width="127" style="width: 300px;max-width: 100%;">'
    )
    assert 'width="300" height="200"' in for_outlook(html)


@pytest.mark.parametrize("attributes", ['width="80" height="60"', 'width="100"', "", 'width="50%"'])
def test_a_picture_that_fits_anyhow_is_left_alone(attributes: str) -> None:
    picture = f'<img src="https://x.example/a.jpg" alt="" {attributes}'.rstrip() + ">"
    assert fitted(picture) == picture


def test_no_alternative_text_ends_the_comment_that_it_stands_in() -> None:
    alt = "--><script>alert(1)</script><!--[if mso]> --!> <![endif]-->"
    html = fitted(f'<img src="https://x.example/a.jpg" alt="{alt}" width="520"><p>after</p>')
    assert "<script" not in html
    assert re.findall(r"<[a-z]+", for_others(html)) == ["<img", "<p"]
    assert re.findall(r"<[a-z]+", for_outlook(html)) == ["<img", "<p"]
    assert unescape(re.findall('alt="([^"]*)"', for_others(html))[0]).replace("\u00ad", "") == alt


def test_long_words_may_go_on_in_the_next_line_and_others_may_not() -> None:
    assert fitted(f"<p>A {WORD}.</p>").count("<wbr>") == 4
    assert fitted("<h2>telecommunications</h2>") == "<h2>telecommu<wbr>nications</h2>"
    for whole in (
        "<p>telecommunications</p>",
        "<h2>responsibilities</h2>",
        "<p>one-two-three-four-five-six-seven-eight-nine</p>",
        f"<p>{'東京都の港湾局は、' * 9}</p>",
        f"<p>{'กรุงเทพมหานคร' * 9}</p>",
        f"<p>{'🚀' * 40}</p>",
        f'<p title="{WORD}">x</p>',
        f"<!-- {WORD} -->",
        f"<style>.{WORD}{{color:red}}</style>",
        f"<h2>{'&amp;' * 16}</h2>",
    ):
        assert fitted(whole) == whole


def test_nothing_is_changed_in_the_head() -> None:
    head = f"<html><head><title>{WORD}</title><style>.{WORD} {{ color: red }}</style></head>"
    assert unstyled.fitted(f"{head}<body></body></html>").startswith(head)


def test_an_address_may_break_in_a_link_and_stays_whole_elsewhere_because_programs_make_links_of_it() -> None:
    address = "https://news.example.org/magic-link/" + "bPqZ7xKd" * 12
    assert fitted(f"<p>{address} or {'x' * 40}@example.org</p>").count("<wbr>") == 0
    link = fitted(f'<a href="{address}">{address}</a>')
    assert link.startswith(f'<a href="{address}">')
    assert link.count("<wbr>") > 7


def test_a_slot_is_never_cut_whatever_stands_around_it() -> None:
    slot = "\ufdd0a_slot_with_a_name_that_is_longer_than_a_word\ufdd1"
    assert slot in fitted(f"<p>{WORD}{slot}{WORD}</p>")
    assert slot in fitted(f"<h1>{slot}</h1>")


def test_an_alternative_text_gets_soft_hyphens_because_no_element_fits_into_it() -> None:
    html = fitted(f'<img src="https://x.example/a.jpg" alt="{WORD}, and many short ones behind it">')
    assert html.count("\u00ad") == 4
    assert "änsmütze, and many short ones behind it" in html
    assert "<wbr>" not in html


letters = st.sampled_from(
    ["a", "é", "e\u0301", "&amp;", "&lt;", "ш", "م", "👩\u200d🚀", "👍🏽", "-", " ", "東", "\u0301", "."]
)


@given(st.lists(letters, max_size=120).map("".join), st.sampled_from(["p", "h2", "li"]))
def test_breaks_change_no_word_and_never_part_what_is_one_character(words: str, tag: str) -> None:
    html = fitted(f"<{tag}>{words}</{tag}>")
    assert html.replace("<wbr>", "") == f"<{tag}>{words}</{tag}>"
    for piece in html.split("<wbr>")[1:]:
        assert not re.match("[\u0301\u200d\U0001f3fb-\U0001f3ff]", piece)
    assert not re.search("&[a-z]*<wbr>|\u200d<wbr>", html)
