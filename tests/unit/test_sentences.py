"""Where sentences stand: what readers are told is in templates and in `words.toml`, never in code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import newsletter_svc
from newsletter_svc.web.messages import AddressCode, Code
from newsletter_svc.words import shipped
from tests.unit.test_architecture import sources

STATIC = Path(newsletter_svc.__file__).parent / "web" / "static"

FOR_OPERATORS = (
    # Commands, what they check, and what they show.
    *("app.py", "cli/", "doctor/", "demo/", "samples.py", "listening.py", "digests/inspection.py"),
    # Settings that do not hold.
    *("bounce_mailboxes.py", "dkim_keys.py", "environment.py", "secret_keys.py", "settings/", "stripe_keys.py"),
    *("webhook_keys.py", "limits/limiter.py", "mail/templates.py", "mail/fetching.py", "mail/transport.py"),
    # What programs of operators and of providers are told over HTTP, and editors by the preview.
    *("auth/api_keys.py", "web/api_subscribers.py", "web/lists.py", "web/webhooks.py", "digests/letter.py"),
    *("web/openapi.py", "web/operations/", "web/previews.py", "web/own_pages.py"),
    # What commands answer with, and nothing else shows.
    *("billing/customers.py", "digests/calendar.py", "digests/rendering.py", "subscribers/csv_file.py"),
    *("subscribers/erased.py", "subscribers/newsletters.py"),
)
"""Modules of which operators, editors and developers alone hear: their sentences may stand in code."""

SENTENCE = re.compile(r"[\W_]*[A-Z{“‘].*\w ?\W* .*[.?!…]\W*", re.DOTALL)
"""A capital or a gap at the start, several words, and an end."""
LABEL = re.compile(r"[A-Z“][\w’'-]*( [\w’'-]+)*( [a-z’'-]{2,})( [\w’'-]+)*:?")
"""Words of a button or a heading: a capital, and a small word after it."""
NO_LANGUAGE = re.compile(r"[A-Z]{2,}[ (]|(public|default-src|SET|PRAGMA)\b|.*[=<>|\\]|.*\b(sqlite|postgresql)\.")
"""SQL, headers, markup, expressions and annotations, which nobody reads."""
COMMENT = re.compile(r"^\s*//.*|\s//\s.*", re.MULTILINE)
TEXT_IN_SCRIPT = re.compile(r"([\"'`])((?:(?!\1)[^\n])*)\1")
FOUND_BY_A_WORD = {"address", "default_newsletter", "fields", "kit", "sentences", "titles"}
"""Sections whose sentences code finds by a word that it has anyway, or hands on whole."""


def is_sentence(text: str) -> bool:
    """Whether a reader could take it for something that is said to them."""
    return bool((SENTENCE.fullmatch(text) or LABEL.fullmatch(text)) and not NO_LANGUAGE.match(text))


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text in a module but for docstrings, gaps as braces: `(12, "There is no {}.")`."""
    nodes = list(ast.walk(tree))
    others = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    others |= {id(piece) for node in nodes if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            pieces = (piece.value if isinstance(piece, ast.Constant) else "{}" for piece in node.values)
            yield node.lineno, "".join(map(str, pieces))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in others:
            yield node.lineno, node.value


def sentences(path: Path, tree: ast.Module) -> list[str]:
    return [f"{path}:{line}: {text}" for line, text in texts(tree) if is_sentence(text)]


def test_no_sentence_for_readers_stands_in_code() -> None:
    found = {path.as_posix(): sentences(path, tree) for path, tree in sources()}
    holding = {name for name, said in found.items() if said}
    assert [said for name, said in found.items() if said and not name.startswith(FOR_OPERATORS)] == []
    assert [start for start in FOR_OPERATORS if not any(name.startswith(start) for name in holding)] == []


@pytest.mark.parametrize(
    "code",
    [
        'raise BadAddress("Please give your e-mail address.")',
        'raise BadChoice("send_hour", f"{hour} is no hour of the day; write a number from 0 to 23.")',
        'KIT = {"code_label": "Or type the six digits from the email"}',
        'label = "Email address"',
        'text = "Are you sure? " "Everything is deleted."',
        "title = f'“{newsletter}” is paused.'",
    ],
)
def test_a_sentence_in_code_is_found(code: str) -> None:
    assert len(sentences(Path("web/new.py"), ast.parse(code))) == 1


def test_docstrings_and_what_nobody_reads_are_no_sentences() -> None:
    code = (
        '"""A module that says nothing."""\n'
        "PRESSED = 3\n"
        '"""How often it was pressed."""\n'
        "policy, statement = \"default-src 'none'; img-src *.\", 'BEGIN IMMEDIATE'\n"
        "raise Unsigned('time stamp')\n"
    )
    assert sentences(Path("web/new.py"), ast.parse(code)) == []


def test_no_sentence_stands_in_a_script() -> None:
    """What a script writes to the console is for who made the page, and names itself: `newsletter: ...`."""
    written = [
        (path.name, text)
        for path in sorted(STATIC.rglob("*.js"))
        for _, text in TEXT_IN_SCRIPT.findall(COMMENT.sub("", path.read_text("utf-8")))
    ]
    assert len(written) > 100
    assert [each for each in written if is_sentence(each[1])] == []


def test_every_sentence_that_code_names_is_there_and_none_is_left_over() -> None:
    names = shipped().names
    sections = {name.partition(".")[0] for name in names} - FOUND_BY_A_WORD
    name = re.compile(rf"({'|'.join(sections)})\.[a-z_]+")
    named = {text for _, tree in sources() for _, text in texts(tree) if name.fullmatch(text)}
    assert named == {each for each in names if name.fullmatch(each)}


def test_every_code_has_its_sentence() -> None:
    assert set(shipped().section("sentences")) == set(Code)
    assert set(shipped().section("address")) == set(AddressCode)
