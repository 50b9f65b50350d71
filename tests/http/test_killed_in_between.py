"""A process that dies between the redemption and its answer: the asking browser can finish, nobody else."""

import signal
import subprocess
import sys

from flask import Flask
from flask.testing import FlaskClient

from newsletter_svc.settings import Settings
from tests.conftest import KEY
from tests.inbox import Inbox

DYING = """
import os, signal, sys
from pathlib import Path
from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from newsletter_svc.web import doors

# What stands between the commit and the answer.
doors.let_in = lambda redeemed: os.kill(os.getpid(), signal.SIGKILL)
key, url, folder, link, presession = sys.argv[1:]
client = create_app(Settings(secret_keys=(key,), database_url=url, var_dir=Path(folder))).test_client()
client.set_cookie("presession", presession)
client.post(link)
"""


def redeem_and_die(settings: Settings, link: str, presession: str) -> None:
    arguments = (KEY, settings.database_url, str(settings.var_dir), link, presession)
    dead = subprocess.run([sys.executable, "-c", DYING, *arguments], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()


def test_the_asking_browser_finishes_what_the_dead_process_began_and_nobody_else_does(
    app: Flask, client: FlaskClient, inbox: Inbox, settings: Settings
) -> None:
    presession = client.post("/signin", json={"email": "ada@example.org"}).json["challenge"]
    link = inbox.newest().link
    redeem_and_die(settings, link, presession)

    stranger = app.test_client().post(link, json={})
    assert stranger.status_code == 410
    assert "Set-Cookie" not in stranger.headers
    finished = client.post(link, json={})
    assert finished.status_code == 200
    assert finished.json["code"] == "signed_up"
    assert client.get("/session").json["signed_in"] is True
