"""Dovecot on loopback, as an ordinary user in a folder of its own: one mailbox, by IMAP and POP3."""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme

from newsletter_svc.bounce_mailboxes import Mailbox, parse
from tests.e2e.service import wait_until

PROGRAM = "/usr/sbin/dovecot"
USER = "bounces@news.example"
PASSWORD = "a password / with @ signs"
_ORDINARY = "nobody"
_CONFIG = """\
protocols = imap pop3
base_dir = {folder}/run
log_path = {folder}/log
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail
mail_home = {folder}/home
auth_mechanisms = plain
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
first_valid_uid = 1
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A running server."""

    folder: Path
    ports: dict[str, int]

    def address(self, protocol: str, *, password: str = PASSWORD) -> Mailbox:
        """The mailbox as BOUNCE_MAILBOX names it."""
        user, password = quote(USER, safe=""), quote(password, safe="")
        return parse(f"{protocol}://{user}:{password}@127.0.0.1:{self.ports[protocol]}/")

    @property
    def mail(self) -> Path:
        """The Maildir behind it."""
        return self.folder / "mail"

    def fill(self, *messages: bytes) -> None:
        """Have exactly these messages in the mailbox, all of them new."""
        shutil.rmtree(self.mail, ignore_errors=True)
        for name in ("new", "cur", "tmp"):
            (self.mail / name).mkdir(parents=True)
        for number, message in enumerate(messages):
            (self.mail / "new" / f"{number:03}.M1P1.news.example").write_bytes(message)
        _give(self.mail)

    def flags(self) -> list[str]:
        """Those of every message that is there, in turn."""
        names = sorted(path.name for place in ("new", "cur") for path in (self.mail / place).iterdir())
        return [name.partition(":2,")[2] for name in names]


@contextmanager
def running(authority: trustme.CA) -> Iterator[Dovecot]:
    """The server, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot."))
    ports = dict(zip(("imap", "imaps", "pop3", "pop3s"), _free_ports(4), strict=True))
    config = _write(folder, ports, authority)
    process = subprocess.Popen([PROGRAM, "-F", "-c", config], user=_user(), group=_group(), extra_groups=_groups())
    try:
        _wait_for(ports.values(), process, folder / "log")
        yield Dovecot(folder, ports)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, ports: dict[str, int], authority: trustme.CA) -> Path:
    account = pwd.getpwnam(_ORDINARY) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    certificate = authority.issue_cert("127.0.0.1")
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    for name in ("home", "run", "mail"):
        (folder / name).mkdir()
    config = folder / "dovecot.conf"
    group = grp.getgrgid(account.pw_gid).gr_name
    values = {"folder": folder, "user": account.pw_name, "group": group, "uid": account.pw_uid, "gid": account.pw_gid}
    config.write_text(_CONFIG.format(**values, **ports))
    _give(folder)
    return config


def _give(folder: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(_ORDINARY)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)


def _user() -> str | None:
    return _ORDINARY if os.geteuid() == 0 else None


def _group() -> int | None:
    return pwd.getpwnam(_ORDINARY).pw_gid if os.geteuid() == 0 else None


def _groups() -> list[int] | None:
    return [] if os.geteuid() == 0 else None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(ports: Collection[int], process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text() if log.exists() else "Dovecot does not start"
        for port in ports:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
        return True

    wait_until(answers, "Dovecot answers")
