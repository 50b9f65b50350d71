"""What wire and processor allow: Postfix's `smtp-source`, a client that only writes, and signatures alone."""

import multiprocessing
import shutil
import subprocess
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import sinks
from benchmarks.machine import CORES
from benchmarks.sinks import Sink
from newsletter_svc import dkim_keys
from newsletter_svc.mail import dkim

SIGNED_OCTETS = b"x" * 1_000
"""About what the signed headers of a digest come to; the size hardly matters beside the key."""


def smtp_source(sink: Sink, count: int, *, size: int, connections: int) -> float | None:
    """Mails a second of Postfix's load generator on kept connections; None where it is not installed."""
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
    if program is None:
        return None
    envelope = ["-f", "bounces@news.example.org", "-t", "reader@example.org"]
    amount = ["-d", "-s", str(connections), "-l", str(size), "-m", str(count)]
    return _rate(count, [program, *amount, *envelope, f"127.0.0.1:{sink.port}"])


def feed(folder: Path, sink: Sink, count: int, *, size: int, connections: int) -> float:
    """Mails a second of a client in C that pipelines the same octets: what the sink takes."""
    program = sinks.compiled("feed", folder)
    return _rate(count, [str(program), str(sink.port), str(connections), str(count), str(size)])


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


def signatures(pem: bytes, *, seconds: float = 2.0) -> float:
    """Signatures a second of `cryptography` in as many processes as there are cores, and nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(CORES) as pool:
        pool.starmap(_sign, [(pem, 0.2)] * CORES)  # Until each process has loaded what it needs.
        return sum(pool.starmap(_sign, [(pem, seconds)] * CORES, chunksize=1))


def _sign(pem: bytes, seconds: float) -> float:
    key, count = dkim_keys.load_key(pem), 0
    started = now = time.perf_counter()
    while now - started < seconds:
        dkim.sign(key, SIGNED_OCTETS)
        count, now = count + 1, time.perf_counter()
    return count / (now - started)


def _rate(count: int, command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return count / (time.perf_counter() - started)
