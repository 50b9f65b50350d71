"""Asking the DNS: what is there, what is not, and what nobody can say, each told from the others."""

from ipaddress import ip_address

import dns.rcode
import pytest

from newsletter_svc.doctor.lookups import Answer, Dns, Exchange, NoAnswerInTime, ServersFailed, Status
from tests.fakes.nameserver import Nameserver


@pytest.fixture
def dns_(nameserver: Nameserver) -> Dns:
    return Dns(nameserver=nameserver.address)


def test_a_text_in_several_strings_is_one_text(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.add("example.org", "TXT", '"v=spf1 " "-all"')
    assert dns_.texts("Example.org.").values == ("v=spf1 -all",)


def test_an_answer_too_long_for_udp_is_fetched_over_tcp(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.text("example.org", "x" * 3_000)
    assert dns_.texts("example.org").values == ("x" * 3_000,)


def test_a_name_that_does_not_exist_is_not_one_without_such_a_record(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.host("mail.example.org", "192.0.2.25")
    assert dns_.texts("mail.example.org") == Answer(Status.NO_RECORD)
    assert dns_.texts("example.org") == Answer(Status.NO_RECORD)
    assert dns_.texts("example.net") == Answer(Status.NO_NAME)
    assert dns_.exists("example.org")
    assert not dns_.exists("example.net")


@pytest.mark.parametrize("name", ["x" * 64 + ".example", ".".join(["x" * 60] * 5), "a..example"])
def test_what_can_be_no_name_does_not_exist(dns_: Dns, name: str) -> None:
    assert dns_.texts(name).status is Status.NO_NAME


def test_hosts_have_addresses_of_both_kinds_and_names(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.host("mail.example.org", "192.0.2.25", "2001:db8::25")
    nameserver.add("25.2.0.192.in-addr.arpa", "PTR", "Mail.Example.org.")
    assert dns_.addresses("mail.example.org") == (ip_address("192.0.2.25"), ip_address("2001:db8::25"))
    assert dns_.addresses("nowhere.example.org") == ()
    assert dns_.names_of(ip_address("192.0.2.25")) == ("mail.example.org",)


def test_exchanges_come_in_order_and_a_null_mx_names_nobody(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.add("example.org", "MX", "20 b.example.org.", "10 a.example.org.")
    nameserver.add("example.net", "MX", "0 .")
    assert dns_.exchanges("example.org") == (Exchange(10, "a.example.org"), Exchange(20, "b.example.org"))
    assert dns_.exchanges("example.net") == (Exchange(0, ""),)


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_servers_that_fail_are_not_servers_that_know_nothing(
    nameserver: Nameserver, dns_: Dns, rcode: dns.rcode.Rcode
) -> None:
    nameserver.fail("example.org", rcode)
    with pytest.raises(ServersFailed, match=rf"TXT of example\.org \({rcode.name}\)"):
        dns_.texts("example.org")


def test_silence_has_a_name_of_its_own_and_is_waited_for_once(nameserver: Nameserver) -> None:
    nameserver.fall_silent("example.org")
    dns_ = Dns(nameserver=nameserver.address, seconds=0.2)
    for _ in range(2):
        with pytest.raises(NoAnswerInTime, match=r"no answer for TXT of example\.org within 0\.2 seconds"):
            dns_.texts("example.org")
    asked = nameserver.questions["example.org", "TXT"]
    with pytest.raises(NoAnswerInTime):
        dns_.texts("example.org")
    assert nameserver.questions["example.org", "TXT"] == asked


def test_every_question_is_asked_once(nameserver: Nameserver, dns_: Dns) -> None:
    nameserver.text("example.org", "one")
    assert [dns_.texts("example.org"), dns_.texts("EXAMPLE.org")] == [Answer(Status.FOUND, ("one",))] * 2
    assert nameserver.questions["example.org", "TXT"] == 1
