"""What is shipped for platforms: it starts commands that there are, from files that there are."""

import re
import shlex
from pathlib import Path

import click
import yaml

from newsletter_svc.cli import newsletter

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def started_by(command: str) -> click.Command:
    """The command of ours that this line starts. Raises what click raises for a line that it does not understand."""
    program, name, *rest = shlex.split(command)
    assert program == "newsletter"
    found = newsletter.get_command(click.Context(newsletter), name)
    assert found is not None
    if not isinstance(found, click.Group):
        found.make_context(name, rest)
        return found
    return found.commands[rest[0]]


def test_compose_runs_one_web_three_workers_and_one_clock() -> None:
    assert sorted(OURS) == ["beat", "release", "web", "worker"]
    assert SERVICES["worker"]["deploy"]["replicas"] == 3
    assert "command" not in SERVICES["web"], "the image serves by itself"
    for name in ("beat", "release", "worker"):
        assert started_by(SERVICES[name]["command"])


def test_every_part_of_it_waits_for_tables_and_has_the_settings_of_many_machines() -> None:
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert environment["DATABASE_URL"].startswith("postgresql+psycopg://")
        assert environment["BROKER_URL"].startswith("redis://")
    for name in ("beat", "web", "worker"):
        assert SERVICES[name]["depends_on"]["release"] == {"condition": "service_completed_successfully"}
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)


def test_journals_of_workers_outlive_their_containers() -> None:
    folder = re.search(r"NEWSLETTER_VAR_DIR=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert folder is not None
    assert SERVICES["worker"]["volumes"] == [f"journals:{folder[1]}"]


def test_the_image_is_built_from_files_that_are_there_and_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()]
    sources = [source for line in lines if line[:1] == ["COPY"] for source in line[1:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in let_through
