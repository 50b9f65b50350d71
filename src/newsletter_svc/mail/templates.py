"""The e-mail templates: where they are found, what they may call, and whether an operator's own ones are sound."""

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    select_autoescape,
)
from jinja2.bccache import Bucket

from newsletter_svc import words
from newsletter_svc.mail import filters
from newsletter_svc.mail.localised import Localised
from newsletter_svc.mail.publication import Publication

SHIPPED = "shipped"
"""Before a slash, the name under which an own template reaches the one that it replaces: `shipped/_layout.html`."""
PARTS = ("subject.txt", "body.txt", "body.html")
PAGES = ("pages", "site")
"""Folders of an operator's own that hold pages of the web, and nothing of an e-mail."""
_CACHE_NAME = "template-1-%s"
_SUFFIXES = (".html", ".txt", ".css")


def templates_folder() -> Path:
    """Return the folder of e-mail templates: inside the package once it is installed, else at the top of the tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "templates" / "email"
    return installed if installed.is_dir() else package.parents[1] / "templates" / "email"


class _Compiled(FileSystemBytecodeCache):
    """Templates as the last process compiled them, in the service's own folder: to compile a digest's takes 0.1 s.

    An entry belongs to a template's name, its source and the versions of Jinja and Python. `_CACHE_NAME` has to change
    with the options of the environment.
    """

    def dump_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OSError):  # Full, or read-only: then the next process compiles them again.
            super().dump_bytecode(bucket)


def open_templates(
    publication: Publication, localised: Localised, *, own: Path | None, cache: Path | None = None
) -> Environment:
    """Return the templates; files in the folder `own` take the place of those that ship, one by one.

    `cache` is a folder that nobody else may write to, since what lies there is run.
    """
    shipped = FileSystemLoader(templates_folder())
    loaders = [shipped, PrefixLoader({SHIPPED: shipped})]
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(own), *loaders] if own else loaders),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_Compiled(str(cache), _CACHE_NAME) if cache else None,
    )
    environment.globals["publication"] = publication
    environment.filters.update(localised.filters())
    environment.filters.update(wrap=filters.wrap, greeting_name=filters.greeting_name)
    return environment


def broken_files(environment: Environment, own: Path) -> Iterator[str]:
    """What is wrong with the files of an operator's folder by themselves, a sentence for each."""
    for path in sorted(own.rglob("*")):
        name = path.relative_to(own).as_posix()
        if not path.is_file() or name.partition("/")[0] in PAGES:
            continue
        if _is_misnamed(path) and not (templates_folder() / name).is_file():
            yield f"{name} replaces nothing: no e-mail has a part of this name."
        if path.suffix not in _SUFFIXES:
            continue
        try:
            environment.get_template(name)
        except (TemplateError, UnicodeDecodeError) as error:
            yield f"{name}{_line(error, {name: path})}: {error}"


def _is_misnamed(path: Path) -> bool:
    """Whether a file that is none of ours looks as if it was meant to be one: `subject.text`, `sign_in/bodi.html`.

    What begins with an underscore may be a piece that an own template includes.
    """
    stems = {part.partition(".")[0] for part in PARTS}
    is_other_words = path.suffix == Path(words.FILE).suffix and path.name != words.FILE
    return is_other_words or path.stem in stems or (path.suffix in _SUFFIXES and not path.name.startswith("_"))


def explained(error: Exception, own: Path) -> str:
    """Return where in an operator's files an attempt to render failed, and why, as far as it can be told."""
    files = {path.relative_to(own).as_posix(): path for path in own.rglob("*") if path.is_file()}
    for name, path in files.items():
        line = _line(error, {name: path})
        if line:
            return f"{name}{line}: {error}"
    return str(error) or type(error).__name__


def _line(error: Exception, files: Mapping[str, Path]) -> str:
    """`, line 3`, where the error or the calls that led to it stand in one of the files."""
    if isinstance(error, TemplateSyntaxError):
        return f", line {error.lineno}" if error.name in files else ""
    paths = {str(path) for path in files.values()}
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in paths]
    return f", line {lines[-1]}" if lines else ""
