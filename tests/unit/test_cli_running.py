"""`newsletter worker`: what needs a broker says so."""

import pytest
from click.testing import CliRunner

from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.parts import Parts


@pytest.mark.parametrize("command", [("worker", "--beat"), ("node", "bulk")])
def test_without_a_broker_there_is_no_clock_and_no_node(parts: Parts, command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(newsletter, command, obj=Program(lambda: parts.settings, lambda _: parts))
    assert result.exit_code == 2
    assert "BROKER_URL" in result.stderr


def test_the_help_tells_of_both(parts: Parts) -> None:
    result = CliRunner().invoke(newsletter, ["worker", "--help"])
    assert "--beat" in result.stdout
    assert "BROKER_URL" in result.stdout
