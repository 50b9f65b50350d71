"""Templates of an operator's own: which file takes the place of which, and what a broken one says before any mail."""

from dataclasses import replace
from pathlib import Path

import pytest

from newsletter_svc.app import create_app
from newsletter_svc.mail.compose import Composer
from newsletter_svc.samples import samples
from newsletter_svc.settings import Settings, SettingsError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def composer(own: Path) -> Composer:
    return Composer(Settings(secret_keys=("k" * 40,), templates_dir=own))


def problems(own: Path) -> list[str]:
    return composer(own).problems(samples())


def test_a_file_takes_the_place_of_ours_and_the_others_stay(own: Path) -> None:
    put(own, "sign_in/subject.txt", "Ihr Code für {{ publication.name }} ist {{ code }}")
    context = samples()["sign_in"].context
    assert problems(own) == []
    assert composer(own).render("sign_in", context).subject == "Ihr Code für The Global Diplomat ist 049302"
    assert "Hello Ada," in composer(own).render("sign_in", context).text


def test_a_file_may_change_one_block_of_the_one_that_it_replaces(own: Path) -> None:
    put(own, "_letter.html", '{% extends "shipped/_letter.html" %}{% block footer %}<p>Imprint</p>{% endblock %}')
    assert problems(own) == []
    html = composer(own).render("sign_in", samples()["sign_in"].context).html
    assert "Imprint" in html
    assert "Hello Ada," in html
    assert "somebody asked to sign in" not in html


def test_markup_in_data_is_escaped_in_an_own_template_too(own: Path) -> None:
    put(own, "sign_in/body.html", "<p>{{ name }}</p>")
    html = composer(own).render("sign_in", {**samples()["sign_in"].context, "name": "<script>"}).html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("digest/body.txt", "one\n{% if %}\n", "digest/body.txt, line 2: Expected an expression"),
        (
            "digest/body.html",
            "{{ unsubscribe_url }}\n\n{{ nowhere }}",
            "digest/body.html, line 3: 'nowhere' is undefined",
        ),
        ("digest/body.txt", "Good morning.", "digest: the slot 'unsubscribe_url' is printed nowhere"),
        ("digest/body.txt", "{{ unsubscribe_url|upper }}", "digest: the slot 'unsubscribe_url' is printed nowhere"),
        ("digets/body.html", "x", "digets/body.html replaces nothing: no e-mail has a part of this name"),
        ("digest/subject.text", "x", "digest/subject.text replaces nothing"),
        ("digest/boddy.html", "x", "digest/boddy.html replaces nothing"),
        ("sign_in/body.txt", "Your code is {{ code }}", "sign_in: body.txt does not print 'link' whole"),
        ("already_subscribed/body.html", "Hello", "already_subscribed: body.html does not print 'link' whole"),
        (
            "sign_up/body.txt",
            "{% filter wrap %}{{ link[:9] }} {{ link[9:] }}{% endfilter %}",
            "sign_up: body.txt",
        ),
        ("digest/_web.html", "{{ nowhere }}", "digest/_web.html, line 1: 'nowhere' is undefined"),
        ("_inlined.css", "{{ colour.pink }}", "_inlined.css, line 1: 'colour' is undefined"),
        ("sign_in/body.txt", "{{ code|shout }}", "sign_in/body.txt, line 1: No filter named 'shout'"),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_reason(own: Path, name: str, text: str, said: str) -> None:
    put(own, name, text)
    assert any(said in problem for problem in problems(own)), problems(own)


def test_a_file_that_is_no_text_is_named(own: Path) -> None:
    (own / "_letter.txt").write_bytes(b"\xff\xfe")
    assert any(problem.startswith("_letter.txt: ") for problem in problems(own))


def test_a_service_with_a_broken_template_does_not_start(own: Path, settings: Settings) -> None:
    put(own, "welcome/body.html", "{{ nowhere }}")
    with pytest.raises(SettingsError) as caught:
        create_app(replace(settings, templates_dir=own))
    assert caught.value.problems == ["TEMPLATES_DIR: welcome: welcome/body.html, line 1: 'nowhere' is undefined"]


def test_what_is_no_template_may_lie_beside_them(own: Path) -> None:
    put(own, "README.md", "{% not a template")
    put(own, "_imprint.html", "<p>Imprint</p>")
    assert problems(own) == []
