"""A language that nobody speaks, added as files alone: answers, pages, the kit's words and mails are in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings, SettingsError
from newsletter_svc.subscribers import addresses, people
from newsletter_svc.web.state import EXTENSION
from newsletter_svc.words import FILE, shipped
from tests.inbox import Inbox

ROOT = '<html lang="ar" dir="rtl">'
FILES = {
    "sign_up/subject.txt": "olleh {{ publication.name }}",
    "sign_up/body.txt": "olleh\n\n{{ link }}\n\n{{ code }}\n\nmorf {{ asked_from }}, {{ asked_at|moment }}",
    "sign_up/body.html": """{% extends "_letter.html" %}
        {% block letter %}<p>olleh</p>{{ parts.button(link, "og") }}{% endblock %}""",
    "pages/error.html": '{% extends "shipped/pages/error.html" %}{% block bottom %}<p>kcab</p>{% endblock %}',
    "pages/check_email.html": """{% extends "pages/layout.html" %}
        {% block sheet %}<h1>{{ sentence }}</h1><p>liam</p>{% endblock %}""",
    "site/sign_in.html": '{% extends "site/door.html" %}{% block door %}<h1>ni ngis</h1>{% endblock %}',
    "site/_piece.html": "a piece of somebody's own",
}


def backwards(sentence: str) -> str:
    """The words in the language: `.{when} niaga yrt nac uoY`."""
    pieces = re.split(r"(\{\w+\})", sentence)
    return "".join(piece if piece.startswith("{") else piece[::-1] for piece in reversed(pieces))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Every sentence by name, and some of the templates."""
    folder = tmp_path / "backwards"
    words = [f"{name} = {json.dumps(backwards(text), ensure_ascii=False)}" for name, text in sentences().items()]
    for name, text in {**FILES, FILE: "\n".join(words)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def sentences() -> dict[str, str]:
    return {name: shipped().section(name.partition(".")[0])[name.partition(".")[2]] for name in sorted(shipped().names)}


@pytest.fixture
def app(settings: Settings, own: Path) -> Iterator[Flask]:
    application = create_app(replace(settings, templates_dir=own, language="ar"))
    yield application
    application.extensions[EXTENSION].database.dispose()


def test_answers_and_the_words_of_the_kit_are_in_it(client: FlaskClient, parts: Parts) -> None:
    wrong = client.post("/signin", json={"email": ""}).get_json()
    assert (wrong["code"], wrong["title"]) == ("invalid_fields", "ytitnE elbassecorpnU")
    assert wrong["detail"] == backwards("Some fields are wrong.")
    assert wrong["errors"] == [{"field": "email", "detail": backwards("Please give your e-mail address.")}]
    with parts.database.transaction() as session:
        reader = people.find_or_add(session, addresses.parse("ada@example.org"), now=utcnow())
        path = parts.links.preferences(reader.id).removeprefix(parts.settings.public_url)
    late = client.post(path, json={"send_hour": 4000}).get_json()["errors"]
    hour = parts.composer.localised.number(4000)
    assert late == [{"field": "send_hour", "detail": f".32 ot 0 morf rebmun a etirw ;yad eht fo ruoh on si {hour}"}]
    told = client.get("/messages").get_json()
    said = {each["code"]: each["message"] for each in told["messages"]}
    assert said["subscribed"] == ".The Global Diplomat ot debircsbus yllufsseccus ev'uoY"
    assert told["kit"]["retry"] == ".{when} niaga yrt nac uoY"
    assert (told["kit"]["lang"], told["kit"]["dir"]) == ("ar", "rtl")


def test_pages_and_mails_are_in_it_and_are_read_from_its_side(client: FlaskClient, inbox: Inbox) -> None:
    lost = client.get("/nowhere").text
    for words in ("dnuoF toN", backwards("There is nothing at this address."), "<p>kcab</p>", ROOT):
        assert words in lost
    door = client.get("/sign-in?action=signin&success=false").text
    for words in ("<h1>ni ngis</h1>", backwards("This link no longer works."), ROOT):
        assert words in door
    asked = client.post("/signin", data={"email": "ada@example.org"}, headers={"User-Agent": "Firefox, Linux"}).text
    assert f"<h1>{backwards('Success! Check your email for magic link to sign-in.')}</h1><p>liam</p>" in asked
    mail = inbox.newest()
    assert mail.subject == "olleh The Global Diplomat"
    assert mail.text.startswith("olleh\n")
    assert "morf Linux no Firefox, " in mail.text
    assert client.get(mail.link).status_code == 200
    assert '<div lang="ar" dir="rtl">' in mail.html
    assert ">olleh</p>" in mail.html


def test_files_that_cannot_take_the_place_of_ours_stop_the_start(settings: Settings, own: Path) -> None:
    (own / "word.toml").touch()
    (own / FILE).write_text('[kit]\nsendign = "x"', encoding="utf-8")
    assert problems(settings, own) == [
        "TEMPLATES_DIR: word.toml replaces nothing: no e-mail has a part of this name.",
        "TEMPLATES_DIR: words.toml: kit.sendign replaces nothing.",
    ]


def test_pages_that_cannot_take_the_place_of_ours_stop_the_start(settings: Settings, own: Path) -> None:
    (own / "pages/eror.html").touch()
    (own / "pages/error.html").write_text("one\n{% if %}", encoding="utf-8")
    (own / "site/sign_in.html").write_text("{{ x|shout }}", encoding="utf-8")
    (own / "site/sign_up.html").write_bytes(b"\xff\xfe")
    said = problems(settings, own)
    assert said[0] == "TEMPLATES_DIR: pages/eror.html replaces nothing: there is no page of this name."
    assert said[1].startswith("TEMPLATES_DIR: pages/error.html, line 2: Expected an expression")
    assert said[2] == "TEMPLATES_DIR: site/sign_in.html, line 1: No filter named 'shout'."
    assert said[3].startswith("TEMPLATES_DIR: site/sign_up.html: 'utf-8' codec")


def problems(settings: Settings, own: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        create_app(replace(settings, templates_dir=own))
    return caught.value.problems
