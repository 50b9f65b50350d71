"""What the tests of faults share: a mail server that misbehaves, the service's parts, and hosts to send from."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter_svc.app import create_app
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.fakes.smtp_thread import MailServer
from tests.faults.hosts import Host, MakeHost


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: MailServer) -> Settings:
    """Mail goes to the server; silence is short, and so is what a dead sender holds."""
    return replace(
        settings,
        mail_server="127.0.0.1",
        mail_port=server.port,
        mail_timeout=2,
        delivery_lease_seconds=2,
        unknown_resend_seconds=1,
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[Parts]:
    found: Parts = create_app(settings).extensions[EXTENSION]
    yield found
    found.database.dispose()


@pytest.fixture
def make_host(settings: Settings, server: MailServer, compiled_templates: Path, tmp_path: Path) -> MakeHost:
    def make(name: str) -> Host:
        var = tmp_path / name
        var.mkdir()
        (var / "templates").symlink_to(compiled_templates)
        return Host(settings, server, var)

    return make


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host("host")
