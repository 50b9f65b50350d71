"""The wheel, which has to work where nothing else of ours is, and the lock of what it depends on."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")

USE_IT = """
import json, os, sys
import newsletter_svc
from newsletter_svc import migrations
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web.state import EXTENSION

app = create_app()
parts = app.extensions[EXTENSION]
migrations.upgrade(parts.database)
with parts.database.transaction() as session:
    newsletters.ensure_default(session, words=parts.words, now=utcnow())
client = app.test_client()
asked = client.post("/signin", json={"email": "ada@example.org"})
parts.sender.run_round()
print(json.dumps({
    "file": newsletter_svc.__file__,
    "asked": asked.status_code,
    "pages": {path: client.get(path).status_code for path in ("/", "/static/base.css", "/magic-link/x", "/readyz")},
    "mails": [path.read_text("ascii") for path in parts.settings.mailbox_dir.glob("*.eml")],
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT))
    subprocess.run([*PIP, *build], check=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def run_installed(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in a folder where the installed wheel is found before this tree."""
    site = tmp_path_factory.mktemp("site")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "NEWSLETTER_VAR_DIR": str(elsewhere / "var")}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=elsewhere, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    return run


def files_below(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in inside.parts):
            yield inside.as_posix()


def test_the_wheel_carries_every_file_of_the_package_and_the_templates_of_the_mails(wheel: Path) -> None:
    wanted = {f"newsletter_svc/{name}" for name in files_below(ROOT / "src" / "newsletter_svc")}
    wanted |= {f"newsletter_svc/templates/{name}" for name in files_below(ROOT / "templates")}
    carried = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert carried == wanted


def test_the_installed_service_shows_its_pages_and_sends_a_mail(
    run_installed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = json.loads(run_installed("-c", USE_IT).stdout.splitlines()[-1])
    assert str(ROOT) not in found["file"]
    assert found["asked"] == 202
    assert found["pages"] == {"/": 200, "/static/base.css": 200, "/magic-link/x": 410, "/readyz": 200}
    [mail] = found["mails"]
    assert "To: ada@example.org" in mail
    assert "multipart/alternative" in mail


def test_the_installed_service_has_its_command(
    run_installed: Callable[..., subprocess.CompletedProcess[str]], wheel: Path
) -> None:
    [entry_points] = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("entry_points.txt")]
    assert "newsletter = newsletter_svc.__main__:main" in zipfile.ZipFile(wheel).read(entry_points).decode()
    said = run_installed("-c", "from newsletter_svc.app import main; main()", "db", "upgrade").stdout
    assert "up to date" in said


def test_the_installed_service_brings_its_settings_for_gunicorn(
    run_installed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    shipped = ("--config", "python:newsletter_svc.gunicorn_conf")
    run_installed("-m", "gunicorn", "--check-config", *shipped, "newsletter_svc.app:create_app()")


@pytest.mark.parametrize(
    ("lock", "groups"), [("run.txt", ["build"]), ("dev.txt", ["build", "dev"])], ids=["run", "dev"]
)
def test_the_lock_answers_everything_that_the_project_asks_for(lock: str, groups: list[str]) -> None:
    """`make lock` was forgotten otherwise, and the next fresh clone would not start."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *asked["project"]["dependencies"],
        *(name for group in groups for name in asked["dependency-groups"][group]),
    ]
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", text, re.MULTILINE))
    for requirement in map(Requirement, wanted):
        assert requirement.name.lower() in locked
        assert requirement.specifier.contains(locked[requirement.name.lower()])
