"""The whole job: `newsletter digest send --wait` as an operator runs it, from its start to its exit."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine, service
from benchmarks import readers as filling
from benchmarks.machine import Cost
from benchmarks.memory import Watch
from benchmarks.sinks import Sink
from benchmarks.ways import Speed
from newsletter_svc.settings import Settings, load

SIZE = 40_000
"""Octets of each mail on the wire, headers included."""
SIZE_TOLERANCE = 0.05
"""A paragraph more or less, and the header of a signature."""
CONNECTIONS = 20
"""As many as `smtp-source` opens; MAIL_CONNECTIONS."""
SENDER = "briefing@news.example.org"
COMMAND = (sys.executable, "-m", "newsletter_svc")


class WrongResult(Exception):
    """A job did not do what it was measured for, so its time says nothing."""


@dataclass(frozen=True)
class Outcome:
    """One job: how long it took, and how much memory it and its children held at most."""

    readers: int
    cost: Cost
    peak_octets: int = 0

    @property
    def speed(self) -> Speed:
        return Speed.of(self.readers, self.cost)


@dataclass(frozen=True)
class Job:
    """A digest for readers who stand in a database that is copied for each run."""

    readers: int
    connections: int = CONNECTIONS
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further settings, such as DKIM's."""

    def environment(self, folder: Path, url: str, sink: Sink) -> dict[str, str]:
        return service.environment(
            folder,
            DATABASE_URL=url,
            MAIL_SERVER="127.0.0.1",
            MAIL_PORT=str(sink.port),
            MAIL_CONNECTIONS=str(self.connections),
            MAIL_DEFAULT_SENDER=SENDER,
            BOUNCE_ADDRESS="bounces@news.example.org",
            **self.extra,
        )


def run(job: Job, folder: Path, url: str, sink: Sink, *, under: Sequence[str] = ()) -> Outcome:
    """Run the job once, under another command if one is given.

    Raises WrongResult unless each reader's mail reached the sink in full and stands as sent.
    """
    env, before = job.environment(folder, url, sink), sink.counts()
    # The first issue that an installation makes compiles the templates for all that follow.
    subprocess.run([*COMMAND, "digest", "preview", "--format", "txt"], env=env, stdout=subprocess.DEVNULL, check=True)
    command = [*under, *COMMAND, "digest", "send", "--wait", "--json"]
    log = folder / "log"
    with log.open("w") as errors, machine.cost(of_children=True) as cost:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
        with Watch(process.pid) as watch:
            output, _ = process.communicate()
    after = sink.counts()
    if process.returncode:
        raise WrongResult(f"the command ended with {process.returncode}: {output}{log.read_text()[-2000:]}")
    answer = next(line for line in output.splitlines() if line.startswith("{"))
    sent = json.loads(answer)["counts"].get("sent")
    messages, octets = after.messages - before.messages, after.octets - before.octets
    if sent != job.readers or messages != job.readers:
        raise WrongResult(f"{job.readers} readers, {sent} sent, {messages} at the sink")
    if abs(octets / messages / SIZE - 1) > SIZE_TOLERANCE:
        raise WrongResult(f"mails of {octets / messages:,.0f} octets instead of {SIZE:,}")
    return Outcome(job.readers, cost, watch.peak_octets)


def fill(url: str, *, readers: int) -> None:
    """Readers and an issue in the database with this address."""
    filling.fill(settings(url), readers=readers, size=SIZE)


def settings(url: str) -> Settings:
    """Settings for work on the database with this address that signs and sends nothing."""
    return load(
        {"DATABASE_URL": url, "SECRET_KEYS": "a key of a benchmark, long enough", "MAIL_DEFAULT_SENDER": SENDER}
    )
