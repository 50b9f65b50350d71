"""Limits over gunicorn: its workers share every counter, and no header of a client's making opens a new one."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import fresh_database
from tests.e2e.house import House, opened
from tests.e2e.service import Service
from tests.fakes.smtp import Sink


@pytest.fixture(scope="module")
def house(migrated_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two workers with a limit that is soon reached, and no proxy before them."""
    folder = tmp_path_factory.mktemp("house")
    with opened(fresh_database(migrated_url, folder), folder, LIMIT_PER_IP="10/hour") as house:
        yield house


def ask(service: Service, number: int) -> int:
    """Ask for a link as a client that claims to come from elsewhere, over https, from inside."""
    headers = {
        "Content-Type": "application/json",
        "X-Forwarded-For": f"198.51.100.{number}",
        "X-Real-IP": f"198.51.100.{number}",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": f"for=192.0.2.{number};proto=https;host=evil.example",
    }
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.request("POST", "/signin", json.dumps({"email": f"reader{number}@example.org"}), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_forty_requests_at_once_from_one_machine_get_ten_mails(service: Service, sink: Sink) -> None:
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda number: ask(service, number), range(40)))

    assert sorted(statuses) == [202] * 10 + [429] * 30
    mails = sink.wait_for(10)
    assert len(mails) == 10
    for mail in mails:
        assert f"{service.url}/magic-link/" in mail.part("plain")
        assert "evil" not in mail.part("plain")
