"""What the settings make of every mail: colours, logo, and words of the publication's own."""

from dataclasses import replace

import pytest

from newsletter_svc import palette
from newsletter_svc.digests import content
from newsletter_svc.mail.message import Rendered
from newsletter_svc.settings import Settings
from tests.fakes.smtp import Received
from tests.mails import KINDS, SETTINGS, outgoing

DIGEST = content.KIND


def rendered(kind: str, settings: Settings) -> Rendered:
    got = Received("", (), (), outgoing(kind, settings=settings).content, None)
    return Rendered(str(got.message["Subject"]), got.part("plain"), got.part("html"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_brand_of_one_colour_colours_every_mail_in_both_schemes(kind: str) -> None:
    html = rendered(kind, replace(SETTINGS, brand_color="#00594f")).html
    head, _, body = html.partition("<body")
    lighter = palette.readable("#00594f", palette.DARK)
    assert "#00594f" in body
    assert lighter in head
    assert palette.LIGHT.accent not in html
    assert palette.DARK.accent not in html


def test_the_dark_scheme_may_have_a_colour_of_its_own_and_so_may_buttons() -> None:
    own = replace(SETTINGS, brand_color="#00594f", brand_color_dark="#7fe0d0", button_color="#ffd400")
    html = rendered("sign_in", own).html
    assert "background-color: #ffd400" in html
    assert "#7fe0d0" in html


@pytest.mark.parametrize("kind", KINDS)
def test_a_logo_stands_where_the_name_stood_and_says_it_while_pictures_are_off(kind: str) -> None:
    own = replace(SETTINGS, logo_url="https://www.example.org/logo.png", logo_width=180)
    html = rendered(kind, own).html
    for_outlook, for_others = (part.partition(">")[0] for part in html.split("<img ")[1:] if "logo.png" in part)
    assert 'width="180"' in for_outlook
    assert "width: 180px" in for_others
    for attributes in (for_outlook, for_others):
        assert 'alt="The Global Diplomat"' in attributes
        assert "background-color: #ffffff" in attributes


@pytest.mark.parametrize("kind", KINDS)
def test_the_publications_own_line_stands_in_the_footer_of_both_parts(kind: str) -> None:
    got = rendered(kind, replace(SETTINGS, footer_text="Registered <in> London"))
    assert "Registered <in> London" in got.text
    assert "Registered &lt;in&gt; London" in got.html


def test_a_digest_has_the_tagline_below_its_name() -> None:
    got = rendered(DIGEST, replace(SETTINGS, tagline="What they said, and what they did."))
    for part in (got.text, got.html.partition("<body")[2]):
        assert "What they said, and what they did." in part.partition("24 November 2026")[0]


def test_a_newsletter_that_is_called_like_its_publication_is_named_once_at_the_top() -> None:
    got = rendered(DIGEST, replace(SETTINGS, publication_name="Briefing"))
    assert got.text.partition("24 November 2026")[0].count("Briefing") == 1
