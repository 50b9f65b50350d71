"""What wire and processor allow: Postfix's `smtp-source`, a client that only writes, and signatures alone."""

import multiprocessing
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import machine, sinks
from benchmarks.machine import CORES
from benchmarks.sinks import Sink
from benchmarks.ways import Speed
from newsletter_svc import dkim_keys
from newsletter_svc.mail import dkim

SIGNED_OCTETS = b"x" * 1_000
"""About what the signed headers of a digest come to; the size hardly matters beside the key."""


def smtp_source(sink: Sink, count: int, *, size: int, connections: int) -> Speed | None:
    """Postfix's load generator on kept connections; None where it is not installed."""
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
    if program is None:
        return None
    envelope = ["-f", "bounces@news.example.org", "-t", "reader@example.org"]
    amount = ["-d", "-s", str(connections), "-l", str(size), "-m", str(count)]
    return _run(count, [program, *amount, *envelope, f"127.0.0.1:{sink.port}"])


def feed(folder: Path, sink: Sink, count: int, *, size: int, connections: int) -> Speed:
    """A client in C that pipelines the same octets: what the sink takes."""
    program = sinks.compiled("feed", folder)
    return _run(count, [str(program), str(sink.port), str(connections), str(count), str(size)])


def private_key() -> bytes:
    """A new key of RSA with 2048 bits, as PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing(folder: Path, pem: bytes) -> dict[str, str]:
    """The settings that have every mail signed with this key, which is put into the folder."""
    path = folder / "dkim.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return {"DKIM_DOMAIN": "news.example.org", "DKIM_SELECTOR": "bench", "DKIM_PRIVATE_KEY_FILE": str(path)}


def signatures(pem: bytes, *, seconds: float = 2.0) -> Speed:
    """Signatures of `cryptography` in as many processes as there are cores, and nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(CORES) as pool:
        pool.starmap(_sign, [(pem, 0.2)] * CORES)  # Until each process has loaded what it needs.
        found = pool.starmap(_sign, [(pem, seconds)] * CORES, chunksize=1)
    return Speed(sum(each.per_second for each in found), statistics.mean(each.cpu_micros for each in found))


def _sign(pem: bytes, seconds: float) -> Speed:
    key, count = dkim_keys.load_key(pem), 0
    with machine.cost(of_children=False) as cost:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            dkim.sign(key, SIGNED_OCTETS)
            count += 1
    return Speed.of(count, cost)


def _run(count: int, command: list[str]) -> Speed:
    with machine.cost(of_children=True) as cost:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Speed.of(count, cost)
