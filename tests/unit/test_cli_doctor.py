"""`newsletter doctor`: what it prints to people and to machines, its exit codes, and what it never shows."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsletter_svc.cli import newsletter
from newsletter_svc.cli.doctoring import NAMESERVER
from newsletter_svc.cli.program import Program
from newsletter_svc.settings import Settings, load
from tests.fakes.nameserver import Nameserver
from tests.fakes.smtp import Sink

PASSWORD = "the password that nobody may see"


def run(settings: Settings, *arguments: str) -> Result:
    def assemble(_: Settings) -> None:
        raise AssertionError("the doctor needs no parts: it must run where the service cannot start")

    return CliRunner().invoke(newsletter, ["doctor", *arguments], obj=Program(lambda: settings, assemble))  # type: ignore[arg-type]


@pytest.fixture
def production(sink: Sink) -> dict[str, str]:
    return {
        "NEWSLETTER_ENV": "production",
        "SECRET_KEYS": "a-Key-that-is-long-enough-0123456789-to-sign-with",
        "PUBLIC_URL": "http://127.0.0.1:1",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(sink.port),
        "MAIL_USERNAME": "newsletter",
        "MAIL_PASSWORD": PASSWORD,
        "MAIL_DEFAULT_SENDER": "briefing@example.org",
        "POSTAL_ADDRESS": "1 Example Street, London",
    }


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(credentials=("newsletter", PASSWORD)) as sink:
        yield sink


def test_in_development_it_says_what_is_not_checked_and_fails_nothing(settings: Settings) -> None:
    result = run(settings)
    assert result.exit_code == 0, result.output
    assert re.search(r"^not checked  Mail server  MAIL_SERVER is not set", result.output, re.MULTILINE)
    assert re.search(r"^not checked  SPF          newsletter\.localhost is a name for development", result.output, re.M)
    assert result.output.endswith("no failures, 1 warning.\n")


def test_what_is_wrong_fails_and_the_records_to_publish_stand_alone_on_their_lines(
    production: dict[str, str], nameserver: Nameserver
) -> None:
    nameserver.host("example.org", "192.0.2.25")
    nameserver.add("example.org", "MX", "10 example.org.")
    host, port = nameserver.address
    result = run(load(production), "--nameserver", f"{host}:{port}", "--sending-address", "192.0.2.25")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert 'example.org. 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"' in lines
    assert '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.org"' in lines
    server = f"127.0.0.1:{production['MAIL_PORT']}"
    assert f"ok           Mail server  {server} takes MAIL_USERNAME and MAIL_PASSWORD." in lines
    assert PASSWORD not in result.output
    assert production["SECRET_KEYS"] not in result.output


def test_for_machines_it_is_json(production: dict[str, str], nameserver: Nameserver) -> None:
    host, port = nameserver.address
    result = run(load(production), "--json", "--nameserver", f"{host}:{port}")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["ok"] is False
    (dmarc,) = [each for each in answer["findings"] if each["topic"] == "DMARC"]
    assert dmarc["verdict"] == "failure"
    assert dmarc["record"] == {
        "name": "_dmarc.example.org",
        "type": "TXT",
        "value": "v=DMARC1; p=none; rua=mailto:dmarc@example.org",
        "line": '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.org"',
    }


def test_on_a_terminal_it_is_a_table(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from newsletter_svc.app import main; main()", "doctor"]
    environ = {**os.environ, "NEWSLETTER_VAR_DIR": str(tmp_path), "COLUMNS": "100", "TERM": "xterm"}
    written = bytearray()

    def read() -> None:
        # The end of the other side is an error on Linux.
        try:
            while octets := os.read(leader, 4096):
                written.extend(octets)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(command, env=environ, stdout=follower, check=False)
    os.close(follower)
    reader.join()
    os.close(leader)
    assert done.returncode == 0
    assert "┃" in written.decode()
    assert "\x1b[" in written.decode()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_a_name_server_is_an_address_with_or_without_a_port(text: str, address: tuple[str, int]) -> None:
    assert NAMESERVER.convert(text, None, None) == address


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nameserver", "dns.example"],
        ["--nameserver", "127.0.0.1:99999"],
        ["--nameserver", ":53"],
        ["--sending-address", "smtp.example.org"],
    ],
)
def test_what_is_no_address_is_wrong_usage(settings: Settings, arguments: list[str]) -> None:
    assert run(settings, *arguments).exit_code == 2
