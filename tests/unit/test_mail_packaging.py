"""A wheel carries the e-mail templates: they live outside the package and vanish silently when they are forgotten."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RENDER = """
from newsletter_svc.clock import utcnow
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.templates import templates_folder
from newsletter_svc.settings import Settings
context = dict(name="Ada", link="https://x.example/l", code="123456", minutes=20, asked_from="", asked_at=utcnow())
print(templates_folder())
print(Composer(Settings(secret_keys=("k",))).render("sign_in", context).subject)
"""


def test_a_mail_can_be_written_from_an_installed_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    done = subprocess.run(
        [sys.executable, "-c", RENDER],
        cwd=tmp_path, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    folder, subject = done.stdout.splitlines()
    assert folder == str(installed / "newsletter_svc" / "templates" / "email")
    assert subject == "123456 is your code to sign in to The Global Diplomat"
