"""A name server on loopback, over UDP and TCP, that knows what it was told and fails where it is told to.

with Nameserver() as nameserver:
    nameserver.add("example.org", "TXT", '"v=spf1 -all"')
    nameserver.fail("broken.example")
    dns = Dns(nameserver=nameserver.address)
"""

import socket
import socketserver
import struct
import threading
from collections import Counter
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

UDP_BYTES = 1232


class Nameserver:
    """The server. Names that it does not know, and below which it knows none, do not exist."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], list[str]] = {}
        self._failing: dict[str, dns.rcode.Rcode] = {}
        self._silent: set[str] = set()
        self.questions: Counter[tuple[str, str]] = Counter()
        """How often each was asked, over UDP."""
        self._udp = _on_one_port(self)
        self._tcp = _TcpServer(self._udp.server_address, self)
        self._threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in (self._udp, self._tcp)]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._udp.server_address
        return str(host), port

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def add(self, name: str, kind: str, *values: str) -> None:
        """Add records, each as a zone file writes it."""
        self._records.setdefault((name.lower(), kind), []).extend(values)

    def text(self, name: str, *texts: str) -> None:
        """Add TXT records, each cut into strings of 255 octets."""
        for text in texts:
            pieces = [text[start : start + 255] for start in range(0, len(text), 255)]
            self.add(name, "TXT", " ".join(f'"{piece}"' for piece in pieces))

    def host(self, name: str, *addresses: str) -> None:
        """Add a host with these addresses."""
        for address in addresses:
            self.add(name, "AAAA" if ":" in address else "A", address)

    def remove(self, name: str, kind: str) -> None:
        self._records.pop((name.lower(), kind), None)

    def fail(self, name: str, rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> None:
        """Answer every question about this name with an error."""
        self._failing[name] = rcode

    def fall_silent(self, name: str) -> None:
        """Answer no question about this name."""
        self._silent.add(name)

    def answer(self, octets: bytes, *, limit: int | None = None) -> bytes | None:
        query = dns.message.from_wire(octets)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        if limit is not None:
            self.questions[name, kind] += 1
        if name in self._silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self._failing:
            response.set_rcode(self._failing[name])
        elif (name, kind) in self._records:
            values = self._records[name, kind]
            response.answer.append(dns.rrset.from_text(question.name, 60, dns.rdataclass.IN, kind, *values))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        written = response.to_wire()
        if limit is not None and len(written) > limit:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()
        return written


class _UdpHandler(socketserver.BaseRequestHandler):
    server: "_UdpServer"

    def handle(self) -> None:
        octets, connection = self.request
        answer = self.server.nameserver.answer(octets, limit=UDP_BYTES)
        if answer is not None:
            connection.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: "_TcpServer"

    def handle(self) -> None:
        (length,) = struct.unpack("!H", self.rfile.read(2))
        answer = self.server.nameserver.answer(self.rfile.read(length))
        if answer is not None:
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    def __init__(self, address: Any, nameserver: Nameserver) -> None:
        self.nameserver = nameserver
        super().__init__(address, _UdpHandler)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address: Any, nameserver: Nameserver) -> None:
        self.nameserver = nameserver
        super().__init__(address, _TcpHandler)


def _on_one_port(nameserver: Nameserver) -> _UdpServer:
    """A UDP server on a port that is free for TCP as well."""
    while True:
        server = _UdpServer(("127.0.0.1", 0), nameserver)
        with socket.socket() as probe:
            try:
                probe.bind(server.server_address)
            except OSError:
                server.server_close()
                continue
        return server
