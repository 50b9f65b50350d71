"""Sample articles: those that the demo starts with, and those that it holds back for the next issues."""

from pathlib import Path


def sample_files() -> list[Path]:
    """The articles to begin with, in the order in which they are added."""
    return sorted((Path(__file__).parent / "articles").glob("*.md"))


def held_back_files() -> list[Path]:
    """The articles of the issues to come, one for each."""
    return sorted((Path(__file__).parent / "next").glob("*.md"))
