"""`newsletter demo`: what it refuses, and where its stand-in for Stripe can be had."""

import os
import socket
import subprocess
import sys

import pytest

from newsletter_svc.settings import Settings
from tests.commands import invoke


def test_production_has_neither_a_demo_nor_a_stand_in(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_ENV", "production")
    for command in (["demo"], ["stand-in", "0", "http://127.0.0.1:8000"]):
        result = invoke(settings, *command)
        assert result.exit_code == 1
        assert "not for production" in result.stderr


def test_the_stand_in_cannot_even_be_imported_in_production() -> None:
    command = [sys.executable, "-c", "import newsletter_svc.demo.stand_in.server"]
    done = subprocess.run(command, env=os.environ | {"NEWSLETTER_ENV": "production"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: The stand-in for Stripe is not for production." in done.stderr


def test_a_port_that_is_taken_is_named_with_the_way_to_another(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke(settings, "demo", "--bind", f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in result.stderr
    assert f'make demo ARGS="--bind 127.0.0.1:{port + 1}"' in result.stderr
