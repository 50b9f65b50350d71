"""Options and arguments that several commands share."""

import click

from newsletter_svc.subscribers import newsletters

newsletter_option = click.option("--newsletter", "slug", default=newsletters.DEFAULT_SLUG, show_default=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
issue_number = click.IntRange(1, 2**31 - 1)
number_argument = click.argument("number", type=issue_number, required=False, metavar="[NUMBER]")
"""An issue by its number; a command that gets none takes the newsletter's latest."""
