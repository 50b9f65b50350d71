"""The `newsletter` command: one file a subject. Each command is handed the service's parts."""

import click

_NAMES = (
    "api-key",
    "articles",
    "audit",
    "billing",
    "bounces",
    "db",
    "demo",
    "digest",
    "doctor",
    "keys",
    "newsletters",
    "node",
    "purge",
    "sender",
    "serve",
    "stand-in",
    "subscribers",
    "suppressions",
    "worker",
)


class _Commands(click.Group):
    """Commands that are imported when they are asked for: what one of them needs, no other has to wait for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _load(cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="newsletter-svc")
def newsletter() -> None:
    """Run the newsletter service and look after it."""


def _load(name: str) -> click.Command | None:
    match name:
        case "db":
            from newsletter_svc.cli import database

            return database.db
        case "serve":
            from newsletter_svc.cli import running

            return running.serve
        case "worker":
            from newsletter_svc.cli import running

            return running.worker
        case "sender":
            from newsletter_svc.cli import running

            return running.sender
        case "node":
            from newsletter_svc.cli import running

            return running.node
        case "api-key":
            from newsletter_svc.cli import api_keys

            return api_keys.api_key
        case "keys":
            from newsletter_svc.cli import keys

            return keys.keys
        case "articles":
            from newsletter_svc.cli import articles

            return articles.articles
        case "digest":
            from newsletter_svc.cli import digests

            return digests.digest
        case "doctor":
            from newsletter_svc.cli import doctoring

            return doctoring.doctor
        case "newsletters":
            from newsletter_svc.cli import newsletters

            return newsletters.newsletters
        case "subscribers":
            from newsletter_svc.cli import subscribers

            return subscribers.subscribers
        case "audit":
            from newsletter_svc.cli import auditing

            return auditing.audit
        case "billing":
            from newsletter_svc.cli import billing

            return billing.billing
        case "bounces":
            from newsletter_svc.cli import bounces

            return bounces.bounces
        case "suppressions":
            from newsletter_svc.cli import suppressions

            return suppressions.suppressions
        case "purge":
            from newsletter_svc.cli import purging

            return purging.purge
        case "demo":
            from newsletter_svc.cli import demo

            return demo.demo
        case "stand-in":
            from newsletter_svc.cli import stand_in

            return stand_in.stand_in
    return None
