"""The house: which module may import which, where Flask may stand, and who commits."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import newsletter_svc
from newsletter_svc import errors

PACKAGE = Path(newsletter_svc.__file__).parent

FLOORS = (
    {"cores", "errors", "palette"},
    {"bounce_mailboxes", "words"},
    {"dkim_keys", "environment", "secret_keys", "streams", "stripe_keys", "webhook_keys", "zones"},
    {"clock", "groups", "listening", "locks", "logs", "prepared", "settings"},
    {"db", "tokens"},
    {"alerts", "audit"},
    {"limits", "links", "mail"},
    {"delivery", "doctor"},
    {"articles", "subscribers"},
    {"auth", "billing", "digests"},
    {"demo", "jobs", "migrations", "samples"},
    {"parts"},
    {"web"},
    {"cli", "gunicorn_conf"},
    {"app"},
    {"__main__"},
)
"""From the ground up. A module imports from lower floors and its own folder; neighbours do not know each other."""

FLOOR_OF = {module: number for number, floor in enumerate(FLOORS) for module in floor}
FLASK = {"flask", "flask_cors", "flask_mail", "werkzeug"}
ERRORS = {"NewsletterError", "ReaderError"}
MAY_IMPORT_FLASK = {"web", "cli", "app"}


@cache
def sources() -> list[tuple[Path, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path.relative_to(PACKAGE), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def top_of(path: Path) -> str:
    """The part of the house that a file belongs to: `mail/mime.py` to `mail`, `db.py` to `db`."""
    return path.parts[0].removesuffix(".py")


def imports(path: Path, tree: ast.Module) -> Iterator[str]:
    """Every module that a file names in an import, wherever the import stands: `newsletter_svc.mail.mime`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["newsletter_svc", *path.parts[:-1]]
            kept = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*kept, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wrong_imports(path: Path, tree: ast.Module) -> list[str]:
    """What this file imports from its own floor or a higher one, as sentences."""
    own = top_of(path)
    tops = {name: name.split(".")[1] for name in imports(path, tree) if name.startswith("newsletter_svc.")}
    return [
        f"{path} imports {name}, which does not stand lower"
        for name, top in tops.items()
        if top != own and FLOOR_OF[top] >= FLOOR_OF[own]
    ]


def test_every_module_has_its_place_in_the_house() -> None:
    found = {top_of(path) for path, _ in sources()} - {"__init__"}
    assert found == set(FLOOR_OF)


def test_modules_import_only_from_lower_floors_and_their_own_folder() -> None:
    assert [wrong for path, tree in sources() for wrong in wrong_imports(path, tree)] == []


def test_an_import_inside_a_function_counts_too() -> None:
    tree = ast.parse("def late():\n    from newsletter_svc import web\n    from ..auth import asking")
    assert wrong_imports(Path("mail/mime.py"), tree) == [
        "mail/mime.py imports newsletter_svc.web, which does not stand lower",
        "mail/mime.py imports newsletter_svc.auth.asking, which does not stand lower",
    ]


def test_no_module_of_ours_is_imported_by_a_name_that_these_tests_do_not_see() -> None:
    names = {"import_module", "__import__"}
    assert [
        f"{path}:{node.lineno} calls {name}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (name := getattr(node.func, "attr", None) or getattr(node.func, "id", None)) in names
        and not is_name_of_another_package(node.args[0])
    ] == []


def is_name_of_another_package(argument: ast.expr) -> bool:
    """Whether an import by name is one of a library that may be missing, such as uvloop."""
    name = argument.value if isinstance(argument, ast.Constant) else None
    return isinstance(name, str) and not name.startswith(("newsletter_svc", "."))


def test_flask_stands_only_in_the_web_the_commands_the_application_and_the_transport_of_mail() -> None:
    assert [
        f"{path} imports {name}"
        for path, tree in sources()
        if top_of(path) not in MAY_IMPORT_FLASK and path != Path("mail/flask_face.py")
        for name in imports(path, tree)
        if name.split(".")[0] in FLASK
    ] == []


def test_only_the_database_module_commits() -> None:
    assert [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "commit" and path != Path("db.py")
    ] == []


def test_the_picture_of_the_errors_shows_each_of_them() -> None:
    classes = (node for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    named = {node.name for node in classes if {ast.unparse(base) for base in node.bases} & ERRORS}
    assert len(named) > 40
    assert {name for name in named if not re.search(rf"\b{name}\b", errors.__doc__ or "")} == set()
