"""`newsletter keys rotate`: what it prints is what the next start reads."""

from click.testing import CliRunner

from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.parts import Parts
from newsletter_svc.settings import load
from tests.conftest import KEY


def test_the_printed_value_signs_with_a_new_key_and_verifies_with_the_present_one(parts: Parts) -> None:
    result = CliRunner().invoke(newsletter, ["keys", "rotate"], obj=Program(lambda: parts.settings, lambda _: parts))

    assert result.exit_code == 0
    keys = load({"SECRET_KEYS": result.stdout}).secret_keys
    assert len(keys) == 2
    assert keys[1] == KEY
    assert KEY not in result.stderr


def test_retiring_a_key_says_what_ends_with_it(parts: Parts) -> None:
    arguments = ["keys", "rotate", "--keep", "0"]

    result = CliRunner().invoke(newsletter, arguments, obj=Program(lambda: parts.settings, lambda _: parts))

    assert KEY not in result.stdout
    assert "ends 0 magic links that could still be used" in result.stderr
