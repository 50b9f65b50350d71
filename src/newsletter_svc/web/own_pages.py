"""Pages of an operator's own: files in TEMPLATES_DIR that take the place of ours, read before anything is served."""

from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PrefixLoader, TemplateError, TemplateNotFound

from newsletter_svc.mail.templates import PAGES, SHIPPED
from newsletter_svc.settings import SettingsError


def install(app: Flask, own: Path | None) -> None:
    """Lay the folder over our pages. Raises SettingsError for files that cannot be read, or that replace nothing.

    After the blueprints: a page may call the filters that they bring.
    """
    shipped = app.jinja_loader
    if own is None or shipped is None:
        return
    app.jinja_loader = ChoiceLoader([FileSystemLoader(own), shipped, PrefixLoader({SHIPPED: shipped})])
    problems = [f"TEMPLATES_DIR: {problem}" for problem in _problems(app, own, shipped)]
    if problems:
        raise SettingsError(problems)


def _problems(app: Flask, own: Path, shipped: BaseLoader) -> Iterator[str]:
    names = (path.relative_to(own).as_posix() for folder in PAGES for path in sorted((own / folder).rglob("*.html")))
    for name in names:
        try:
            # What begins with an underscore may be a piece that a page includes.
            if not name.rpartition("/")[2].startswith("_"):
                shipped.get_source(app.jinja_env, name)
            app.jinja_env.get_template(name)
        except TemplateNotFound:
            yield f"{name} replaces nothing: there is no page of this name."
        except (TemplateError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None)
            yield f"{name}{f', line {line}' if line else ''}: {error}"
