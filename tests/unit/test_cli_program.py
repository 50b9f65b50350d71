"""What every command does when the database is not as it should be."""

from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from newsletter_svc.app import create_app
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.conftest import KEY


def parts_of(settings: Settings) -> Parts:
    parts: Parts = create_app(settings).extensions[EXTENSION]
    return parts


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///{}/empty.db", "Run `newsletter db upgrade` first."),
        ("postgresql+psycopg://nobody@127.0.0.1:1/none", "cannot be reached"),
    ],
)
def test_a_command_says_what_is_wrong_with_the_database(tmp_path: Path, url: str, sentence: str) -> None:
    settings = Settings(secret_keys=(KEY,), var_dir=tmp_path, database_url=url.format(tmp_path))
    program = Program(lambda: settings, parts_of)

    result = CliRunner().invoke(newsletter, ["digest", "send"], obj=program)

    assert result.exit_code == 1
    assert sentence in result.stderr
    program.parts.database.dispose()


def test_every_command_is_found_by_the_name_that_help_lists() -> None:
    context = click.Context(newsletter)
    assert isinstance(newsletter, click.Group)
    names = newsletter.list_commands(context)
    assert [found and found.name for found in map(partial(newsletter.get_command, context), names)] == names
    assert newsletter.get_command(context, "nothing") is None
    shown = [line.split()[0] for line in CliRunner().invoke(newsletter, ["--help"]).output.splitlines() if line.strip()]
    assert "digest" in shown
    assert "sender" not in shown  # What the service starts by itself is nobody's to type.
