"""Colours that can be read: WCAG's contrast in both schemes, and what a publication's own colours become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc import palette
from newsletter_svc.palette import DARK, LIGHT, READABLE, Palette

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#ffffff", "#ffffff", 1), ("#777777", "#ffffff", 4.48), ("#0000ff", "#ffffff", 8.59)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert palette.contrast(one, other) == palette.contrast(other, one) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("text", ["ink", "muted", "accent"])
@pytest.mark.parametrize("behind", ["paper", "sheet", "panel"])
def test_all_text_can_be_read_on_all_that_may_be_behind_it(scheme: Palette, text: str, behind: str) -> None:
    assert palette.contrast(getattr(scheme, text), getattr(scheme, behind)) >= READABLE


@given(colours)
def test_words_on_a_button_can_be_read_whatever_its_colour(colour: str) -> None:
    for scheme in (LIGHT, DARK):
        own = palette.branded(scheme, accent=None, button=colour)
        assert own.button == colour
        assert palette.contrast(own.on_button, own.button) >= READABLE


@given(colours)
def test_every_colour_has_a_tone_that_can_be_read(colour: str) -> None:
    for scheme in (LIGHT, DARK):
        tone = palette.readable(colour, scheme)
        assert palette.is_readable(tone, scheme)
        assert tone == colour or not palette.is_readable(colour, scheme)


def test_without_colours_of_its_own_a_publication_has_ours() -> None:
    assert palette.branded(DARK, accent=None, button=None) == DARK


def test_a_brand_of_one_colour_has_it_on_its_buttons_too() -> None:
    own = palette.branded(LIGHT, accent="#00594f", button=None)
    assert (own.accent, own.button, own.on_button) == ("#00594f", "#00594f", "#ffffff")
