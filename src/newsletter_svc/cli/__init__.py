"""The `newsletter` command: one file a subject. Each command is handed the service's parts."""

import click

from newsletter_svc.cli import (
    api_keys,
    articles,
    auditing,
    bounces,
    database,
    demo,
    digests,
    doctoring,
    keys,
    newsletters,
    purging,
    running,
    subscribers,
    suppressions,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="newsletter-svc")
def newsletter() -> None:
    """Run the newsletter service and look after it."""


for command in (
    database.db,
    running.serve,
    running.worker,
    running.sender,
    running.node,
    api_keys.api_key,
    keys.keys,
    articles.articles,
    digests.digest,
    doctoring.doctor,
    newsletters.newsletters,
    subscribers.subscribers,
    auditing.audit,
    bounces.bounces,
    suppressions.suppressions,
    purging.purge,
    demo.demo,
):
    newsletter.add_command(command)
