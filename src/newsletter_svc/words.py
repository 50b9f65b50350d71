"""What readers are told by code: sentences found by their names, in `words.toml` or in an operator's own file."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import NamedTuple

from newsletter_svc.errors import NewsletterError

FILE = "words.toml"
_NOTHING: Mapping[str, str | int] = MappingProxyType({})


class Saying(NamedTuple):
    """What is said: the name of a sentence, such as `addresses.too_long`, and what stands in its gaps."""

    name: str
    gaps: Mapping[str, str | int] = _NOTHING


class ReaderError(NewsletterError):
    """Something that a reader is told of. The code that raises it knows the name of the sentence, not its words."""

    def __init__(self, name: str, /, **gaps: str | int) -> None:
        super().__init__(name)
        self.saying = Saying(name, gaps)

    def __str__(self) -> str:
        """The sentence in our own words, for operators."""
        return shipped().say(self.saying)


class BadWords(NewsletterError):
    """A file of an operator's that cannot take the place of ours; `problems` has a sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Words:
    """All sentences of one language, by their names."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._sentences = sentences

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._sentences)

    def say(self, saying: Saying, *, number: Callable[[int], str] = str) -> str:
        """The sentence with its gaps filled; `number` writes numbers as the language does."""
        gaps = {name: number(gap) if isinstance(gap, int) else gap for name, gap in saying.gaps.items()}
        return self._sentences[saying.name].format_map(gaps)

    def section(self, name: str) -> dict[str, str]:
        """The sentences of one section as they stand in the file, gaps and all."""
        start = f"{name}."
        return {key.removeprefix(start): text for key, text in self._sentences.items() if key.startswith(start)}

    def with_those_of(self, folder: Path | None) -> "Words":
        """These words, and in the place of some of them those of the file in an operator's folder. Raises BadWords."""
        path = folder / FILE if folder else None
        if path is None or not path.is_file():
            return self
        try:
            own = dict(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            raise BadWords([f"{FILE}: {error}"]) from error
        problems = [f"{FILE}: {name} {fault}." for name, text in own.items() if (fault := self._fault(name, text))]
        if problems:
            raise BadWords(problems)
        return Words({**self._sentences, **{name: str(text) for name, text in own.items()}})

    def _fault(self, name: str, text: object) -> str | None:
        """Why this text cannot stand in the place of ours, if so."""
        if name not in self._sentences:
            return "replaces nothing"
        if not isinstance(text, str) or not text.strip():
            return "is no text"
        try:
            unknown = _gaps(text) - _gaps(self._sentences[name])
        except ValueError as error:
            return f"has a brace too many or too few ({error})"
        return f"has a gap that nobody fills: {{{min(unknown)}}}" if unknown else None


@cache
def shipped() -> Words:
    """Our own words."""
    text = (Path(__file__).parent / FILE).read_text(encoding="utf-8")
    return Words({name: str(sentence) for name, sentence in _flat(tomllib.loads(text))})


def typed(text: str, *, limit: int = 64) -> str:
    """What somebody typed, as it may stand in a sentence: short, and with marks for what turns or hides text."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:limit])


def _flat(tables: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """`("kit.sending", "Sending…")` for a key of a table."""
    for name, table in tables.items():
        if isinstance(table, dict):
            yield from ((f"{name}.{key}", value) for key, value in table.items())
        else:
            yield name, table


def _gaps(text: str) -> set[str]:
    """The names in braces. Whatever a format could say beyond a name is part of it, and so a name that nobody fills."""
    found = set()
    for _, name, spec, conversion in Formatter().parse(text):
        if name is not None:
            found.add(name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else ""))
    return found
