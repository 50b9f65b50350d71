"""What the publication's language changes: dates, lists, lengths of time, and the direction of the whole mail."""

from datetime import UTC, date, datetime

import pytest

from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.localised import Localised
from newsletter_svc.samples import samples
from newsletter_svc.settings import Settings

DAY = date(2026, 11, 24)


def speaking(language: str) -> Localised:
    return Localised(language, timezone="Europe/London")


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en-GB", "Tuesday, 24 November 2026"),
        ("en", "Tuesday, November 24, 2026"),
        ("de", "Dienstag, 24. November 2026"),
        ("ar", "الثلاثاء، 24 نوفمبر 2026"),
        ("zh-Hant", "2026年11月24日 星期二"),
    ],
)
def test_a_date_is_written_as_the_language_does(language: str, written: str) -> None:
    assert speaking(language).full_date(DAY) == written


def test_a_moment_is_told_in_the_publications_zone_and_names_it() -> None:
    summer = datetime(2026, 7, 1, 16, 5, tzinfo=UTC)
    assert speaking("en-GB").moment(summer) == "1 July 2026, 17:05 (Europe/London)"
    assert speaking("de").moment(summer) == "1. Juli 2026, 17:05 (Europe/London)"


def test_numbers_lists_and_lengths_of_time_follow_the_language_too() -> None:
    german = speaking("de")
    assert german.listed(["Briefing", "Woche", "Briefe"]) == "Briefing, Woche und Briefe"
    assert (german.minutes(20), german.hours(1), german.number(12_345)) == ("20 Minuten", "1 Stunde", "12.345")
    assert (speaking("en-GB").minutes(1), speaking("en-GB").hours(48)) == ("1 minute", "48 hours")


@pytest.mark.parametrize("language", ["ja", "fa", "zh-Hant"])
def test_a_length_of_time_is_never_the_name_of_a_unit(language: str) -> None:
    assert "duration" not in speaking(language).minutes(20)


@pytest.mark.parametrize(
    ("language", "direction", "start", "end"), [("he", "rtl", "right", "left"), ("en-GB", "ltr", "left", "right")]
)
def test_a_mail_reads_from_the_side_where_its_language_begins(
    language: str, direction: str, start: str, end: str
) -> None:
    composer = Composer(Settings(secret_keys=("k" * 40,), language=language))
    for kind, sample in samples().items():
        values = dict.fromkeys(sample.slots, "https://news.example.org/x")
        html = composer.render(kind, {**sample.context, **values}).html
        assert f'<html lang="{language}" dir="{direction}"' in html
        assert f'<div lang="{language}" dir="{direction}">' in html
        body = html.partition("<body")[2]
        assert f"text-align: {start}" in body
        assert f"text-align: {end}" not in body
        # Letters that are joined in writing must not be pulled apart, and have no slanted form.
        assert ("text-transform: uppercase" in body or kind != "digest") == (direction == "ltr" or kind != "digest")
