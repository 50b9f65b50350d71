"""Running one `newsletter` command in this process, as if it were a process of its own."""

from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from newsletter_svc.app import create_app
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION


def invoke(settings: Settings, *arguments: str, stdin: bytes | None = None) -> Result:
    """The command with these arguments, with database connections and a sender of its own."""
    made: list[Parts] = []

    def assemble(settings: Settings) -> Parts:
        made.append(create_app(settings).extensions[EXTENSION])
        return made[-1]

    try:
        # The command's main function sends the log to stderr; here it must not mix with the answer.
        with capture_logs():
            return CliRunner().invoke(newsletter, arguments, input=stdin, obj=Program(lambda: settings, assemble))
    finally:
        for parts in made:
            parts.database.dispose()


def succeed(result: Result) -> str:
    """What it said, after exit 0."""
    assert result.exit_code == 0, result.output
    return result.output
