"""Which pages the service has: every blueprint, and what holds for all of them."""

from flask import Flask, Response, current_app

from newsletter_svc.settings import Settings
from newsletter_svc.web import (
    address_changes,
    api,
    api_subscribers,
    api_suppressions,
    billing,
    demo,
    doors,
    errors,
    health,
    issues,
    kit,
    magic_links,
    mailbox,
    me,
    messages,
    openapi,
    own_pages,
    passes,
    preferences,
    previews,
    protection,
    sessions,
    site,
    unsubscribing,
    webhooks,
)
from newsletter_svc.web.state import EXTENSION


def install(app: Flask, settings: Settings) -> None:
    """Give the application all its pages; its parts stand in `app.extensions` already. Raises SettingsError."""
    protection.install(app, settings)
    errors.install(app)
    for blueprint in (
        doors.doors,
        magic_links.magic_links,
        sessions.browser_sessions,
        me.me,
        address_changes.changing,
        unsubscribing.unsubscribing,
        preferences.preferences,
        billing.billing,
        messages.messages,
        health.health,
        issues.issues,
        api.api,
        api_subscribers.api_subscribers,
        api_suppressions.api_suppressions,
        passes.passes,
        kit.kit,
        previews.previews,
        openapi.openapi,
        webhooks.webhooks,
    ):
        app.register_blueprint(blueprint)
    if not settings.is_production:
        app.register_blueprint(site.site)
    if settings.mailbox_dir is not None:
        app.register_blueprint(mailbox.mailbox)
        app.register_blueprint(demo.demo)
    app.add_url_rule("/favicon.ico", "favicon", _favicon)
    composer = app.extensions[EXTENSION].composer
    app.context_processor(lambda: {"publication": composer.publication})
    app.jinja_env.filters.update(composer.localised.filters())
    own_pages.install(app, settings.templates_dir)


def _favicon() -> Response:
    """For pages that name no icon, such as the web version of an issue: browsers ask at this address then."""
    return current_app.send_static_file("favicon.svg")
