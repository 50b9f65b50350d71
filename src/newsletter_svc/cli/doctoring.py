"""`newsletter doctor`: whether mail of this deployment will be believed, and what to mend."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from newsletter_svc.cli.program import Program
from newsletter_svc.doctor.examination import examine
from newsletter_svc.doctor.findings import Finding, Record, Verdict
from newsletter_svc.doctor.lookups import Address, Dns
from newsletter_svc.doctor.setup import Setup

_DNS_PORT = 53
_WORDS = {
    Verdict.GOOD: ("ok", "green"),
    Verdict.WARNING: ("warning", "yellow"),
    Verdict.FAILURE: ("FAILURE", "bold red"),
    Verdict.UNCHECKED: ("not checked", "dim"),
}


class _Nameserver(click.ParamType[tuple[str, int]]):
    """`127.0.0.1:5353`, `192.0.2.53`, `[2001:db8::53]:53`."""

    name = "ADDRESS[:PORT]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        text = str(value)
        if text.count(":") > 1 and not text.startswith("["):
            text = f"[{text}]"
        host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", str(_DNS_PORT))
        try:
            address = str(ip_address(host.removeprefix("[").removesuffix("]")))
        except ValueError:
            address = ""
        if not address or not 0 < int(port) < 2**16:
            self.fail(f"{value!r} is no address of a name server, such as 192.0.2.53 or 127.0.0.1:5353.", param, ctx)
        return address, int(port)


class _SendingAddress(click.ParamType[Address]):
    """`203.0.113.25`."""

    name = "IP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        try:
            return ip_address(str(value))
        except ValueError:
            self.fail(f"{value!r} is no IP address.", param, ctx)


NAMESERVER = _Nameserver()


@click.command()
@click.option("--nameserver", type=NAMESERVER, help="Ask this name server instead of the system's.")
@click.option(
    "--sending-address",
    "sending_addresses",
    type=_SendingAddress(),
    multiple=True,
    help="An address that mail leaves from, where it is not MAIL_SERVER's own; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_obj
def doctor(
    program: Program, nameserver: tuple[str, int] | None, sending_addresses: tuple[Address, ...], as_json: bool
) -> None:
    """Look at settings, mail server and DNS: what is right, what is wrong, and which records to publish.

    SPF, DKIM, DMARC, MX, PTR, TLS and a sign-in to MAIL_SERVER. Nothing is sent and nothing is changed. Exit 1 if
    something is wrong or could not be found out; warnings do not fail.
    """
    findings = examine(Setup(program.settings, Dns(nameserver=nameserver), sending_addresses))
    if as_json:
        click.echo(json.dumps({"ok": not _failures(findings), "findings": [_as_json(each) for each in findings]}))
    else:
        _show(findings)
    if _failures(findings):
        raise SystemExit(1)


def _failures(findings: Sequence[Finding]) -> int:
    return sum(each.verdict is Verdict.FAILURE for each in findings)


def _as_json(finding: Finding) -> dict[str, Any]:
    record = finding.record and {**asdict(finding.record), "line": finding.record.line}
    return {**asdict(finding), "record": record}


def _show(findings: Sequence[Finding]) -> None:
    """A table on a terminal, elsewhere a line for each finding; the records stand alone, ready to be copied."""
    console = Console()
    if console.is_terminal:
        console.print(_table(findings))
    else:
        for each in findings:
            click.echo(f"{_WORDS[each.verdict][0]:<12} {each.topic:<12} {each.subject} {each.text}")
    records = _records(findings)
    if records:
        click.echo("\nRecords to publish, as lines of a zone file:\n")
        for record in records:
            click.echo(record.line)
    warnings = sum(each.verdict is Verdict.WARNING for each in findings)
    click.echo(f"\n{_count(_failures(findings), 'failure')}, {_count(warnings, 'warning')}.")


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "What", "Finding"):
        table.add_column(heading, overflow="fold")
    topic = ""
    for each in findings:
        word, style = _WORDS[each.verdict]
        # Texts of others' DNS records are no markup of ours.
        said = Text.assemble((each.subject, "bold"), " ", each.text)
        table.add_row(Text(word, style), "" if each.topic == topic else each.topic, said)
        topic = each.topic
    return table


def _records(findings: Sequence[Finding]) -> list[Record]:
    return list(dict.fromkeys(each.record for each in findings if each.record is not None))


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
