"""Postfix on loopback, with a configuration of its own that goes away with the test: a relay, and its `smtp-sink`."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
IS_RELAY_POSSIBLE = shutil.which("postfix", path="/usr/sbin") is not None and os.geteuid() == 0

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_host_lookup = native
disable_dns_lookups = yes
mydestination =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{next_port}
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/conf/recipients, permit_mynetworks, reject
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def relay(*, next_port: int, recipients: str = "") -> Iterator[int]:
    """The port of a Postfix that relays to `next_port`; `recipients` is a regexp table such as `/^x@/ 550 5.1.1 no`."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="postfix") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postfix's own user goes through it.
        (conf := folder / "conf").mkdir()
        (folder / "queue").mkdir()
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "postfix")
        (conf / "main.cf").write_text(_MAIN.format(folder=folder, next_port=next_port))
        (conf / "master.cf").write_text(_MASTER.format(port=port))
        (conf / "recipients").write_text(recipients)
        _postfix(conf, "start")
        try:
            _wait_for(port)
            yield port
        finally:
            _postfix(conf, "stop")


@contextmanager
def sink(folder: Path, *options: str) -> Iterator[int]:
    """The port of an `smtp-sink` that keeps each mail as a file in `folder`."""
    assert SINK is not None
    port = _free_port()
    run_as = ["-u", "root"] if os.geteuid() == 0 else []
    command = [SINK, *run_as, *options, "-d", "mail.", f"127.0.0.1:{port}", "100"]
    process = subprocess.Popen(command, cwd=folder)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _postfix(conf: Path, verb: str) -> None:
    subprocess.run(["/usr/sbin/postfix", "-c", str(conf), verb], check=True, capture_output=True, timeout=30)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def _wait_for(port: int, *, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # A process of somebody else has no event to wait for.
    raise TimeoutError(f"nobody listens on {port}")
