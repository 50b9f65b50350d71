"""SPF: the walk of RFC 7208 through records on a name server, its limits, and what is said about a domain."""

from ipaddress import ip_address

import pytest

from newsletter_svc.doctor import spf, spf_macros, spf_terms
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.spf import Outcome, Result
from newsletter_svc.doctor.spf_terms import BadTerm
from tests.fakes.nameserver import Nameserver

OURS = "192.0.2.25"
OURS6 = "2001:db8::25"
FOREIGN = "198.51.100.66"


@pytest.fixture
def zone(nameserver: Nameserver) -> Nameserver:
    """Names that the records of these tests speak of."""
    nameserver.host("example.org", OURS, OURS6)
    nameserver.host("mail.example.org", "192.0.2.77")
    nameserver.add("example.org", "MX", "10 mail.example.org.")
    nameserver.text("ours.example", f"v=spf1 ip4:{OURS} ip6:{OURS6} -all")
    nameserver.text("nobody.example", "v=spf1 -all")
    nameserver.host("25.2.0.192.list.example", "127.0.0.2")
    nameserver.add("25.2.0.192.in-addr.arpa", "PTR", "example.org.")
    return nameserver


def outcome(nameserver: Nameserver, address: str = OURS, domain: str = "tested.example") -> Outcome:
    dns = Dns(nameserver=nameserver.address)
    return spf.evaluate(dns, ip_address(address), domain=domain, sender=f"bounces@{domain}")


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 -all", OURS, Result.FAIL),
        ("v=spf1 ~all", OURS, Result.SOFTFAIL),
        ("V=SPF1 ?ALL", OURS, Result.NEUTRAL),
        ("v=spf1", OURS, Result.NEUTRAL),
        ("v=spf1 +all", FOREIGN, Result.PASS),
        ("v=spf1 ip4:192.0.2.0/24 -all", OURS, Result.PASS),
        ("v=spf1 ip4:192.0.2.25/25 -all", OURS, Result.PASS),
        ("v=spf1 -ip4:192.0.2.0/24 +all", OURS, Result.FAIL),
        ("v=spf1 ip4:192.0.2.0/24 -all", OURS6, Result.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", OURS6, Result.PASS),
        ("v=spf1 a:example.org -all", OURS, Result.PASS),
        ("v=spf1 a:example.org -all", OURS6, Result.PASS),
        ("v=spf1 a:example.org/24 -all", "192.0.2.1", Result.PASS),
        ("v=spf1 a:example.org//64 -all", "2001:db8::1", Result.PASS),
        ("v=spf1 a:example.org/32//64 -all", "192.0.2.1", Result.FAIL),
        ("v=spf1 mx:example.org -all", "192.0.2.77", Result.PASS),
        ("v=spf1 mx:example.org -all", OURS, Result.FAIL),
        ("v=spf1 mx:example.org/24 -all", OURS, Result.PASS),
        ("v=spf1 include:ours.example -all", OURS, Result.PASS),
        ("v=spf1 ?include:ours.example -all", OURS, Result.NEUTRAL),
        ("v=spf1 include:nobody.example ~all", OURS, Result.SOFTFAIL),
        ("v=spf1 redirect=ours.example", OURS, Result.PASS),
        ("v=spf1 redirect=ours.example", FOREIGN, Result.FAIL),
        ("v=spf1 ~all redirect=ours.example", OURS, Result.SOFTFAIL),
        ("v=spf1 exists:%{ir}.list.example -all", OURS, Result.PASS),
        ("v=spf1 exists:%{ir}.list.example -all", FOREIGN, Result.FAIL),
        ("v=spf1 ptr:example.org -all", OURS, Result.PASS),
        ("v=spf1 ptr:ample.org -all", OURS, Result.FAIL),
        ("v=spf1 exp=why.example unknown-modifier=%{x -all", OURS, Result.FAIL),
    ],
)
def test_a_policy_is_walked_as_receivers_walk_it(zone: Nameserver, record: str, address: str, result: Result) -> None:
    zone.text("tested.example", "some other text", record)
    assert outcome(zone, address) == Outcome(result)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("v=spf1 ip4:192.0.2.0/33 -all", "names no network"),
        ("v=spf1 ip4:2001:db8::1 -all", "the other kind of address"),
        ("v=spf1 ip4 -all", "names no network"),
        ("v=spf1 all:example.org", "no term of SPF"),
        ("v=spf1 include -all", "no term of SPF"),
        ("v=spf1 a: -all", "names no domain"),
        ("v=spf1 a:192.0.2.25 -all", "names no domain"),
        ("v=spf1 include:org -all", "names no domain"),
        ("v=spf1 a/33 -all", "does not exist"),
        ("v=spf1 a/24/64 -all", "no term of SPF"),
        ("v=spf1 ipv4:192.0.2.25 -all", "no term of SPF"),
        ("v=spf1 192.0.2.25 -all", "no term of SPF"),
        ("v=spf1 redirect=a.example redirect=b.example", "redirect= stands there twice"),
        ("v=spf1 redirect=", "'redirect=' names no domain"),
        ("v=spf1 include:nowhere.example -all", "leads to no SPF record"),
        ("v=spf1 redirect=nowhere.example", "leads to no SPF record"),
        ("v=spf1 exists:%{q}.example -all", "a macro that SPF does not know"),
        ("v=spf1 exists:%{i.example -all", "no term of SPF"),
    ],
)
def test_what_is_broken_is_an_error_with_its_reason(zone: Nameserver, record: str, reason: str) -> None:
    zone.text("tested.example", record)
    found = outcome(zone)
    assert found.result is Result.PERMERROR
    assert reason in found.reason


def test_an_error_behind_the_term_that_matches_counts_too(zone: Nameserver) -> None:
    zone.text("tested.example", f"v=spf1 ip4:{OURS} oops -all")
    assert outcome(zone).result is Result.PERMERROR


def test_two_records_are_none(zone: Nameserver) -> None:
    zone.text("tested.example", "v=spf1 +all", "v=spf1 -all")
    assert outcome(zone) == Outcome(Result.PERMERROR, "tested.example has 2 SPF records; one is allowed")


def test_without_a_record_there_is_nothing_to_say(zone: Nameserver) -> None:
    zone.text("tested.example", "v=spf10 +all", "v=spf2.0/pra +all")
    assert outcome(zone) == Outcome(Result.NONE)


def test_name_servers_that_fail_make_a_passing_error(zone: Nameserver) -> None:
    zone.text("tested.example", "v=spf1 include:broken.example -all")
    zone.fail("broken.example")
    found = outcome(zone)
    assert found.result is Result.TEMPERROR
    assert "SERVFAIL" in found.reason


@pytest.mark.parametrize(("count", "result"), [(10, Result.PASS), (11, Result.PERMERROR)])
def test_ten_lookups_are_allowed(zone: Nameserver, count: int, result: Result) -> None:
    hosts = [f"h{number}.example" for number in range(count)]
    for host in hosts[:-1]:
        zone.host(host, "198.51.100.1")
    zone.host(hosts[-1], OURS)
    zone.text("tested.example", "v=spf1 " + " ".join(f"a:{host}" for host in hosts) + " -all")
    assert outcome(zone).result is result


@pytest.mark.parametrize(("count", "result"), [(2, Result.FAIL), (3, Result.PERMERROR)])
def test_two_lookups_may_find_nothing(zone: Nameserver, count: int, result: Result) -> None:
    zone.text("tested.example", "v=spf1 " + " ".join(f"a:h{number}.example" for number in range(count)) + " -all")
    assert outcome(zone).result is result


def test_a_domain_with_too_many_mail_servers_is_an_error(zone: Nameserver) -> None:
    zone.add("many.example", "MX", *(f"10 m{number}.example." for number in range(11)))
    zone.text("tested.example", "v=spf1 mx:many.example -all")
    assert "more than 10 mail servers" in outcome(zone).reason


def test_policies_that_include_each_other_come_to_an_end(zone: Nameserver) -> None:
    zone.text("tested.example", "v=spf1 include:other.example include:other.example -all")
    zone.text("other.example", "v=spf1 include:tested.example include:tested.example -all")
    dns = Dns(nameserver=zone.address)
    policy = spf_terms.parse("v=spf1 include:other.example -all")
    assert outcome(zone).result is Result.PERMERROR
    assert spf.count_lookups(dns, policy) > spf.MAX_LOOKUPS
    assert spf.includes(dns, policy) == {"other.example", "tested.example"}


def test_lookups_are_counted_through_includes_and_redirects(zone: Nameserver) -> None:
    zone.text("inner.example", "v=spf1 a mx redirect=ours.example")
    zone.text("unread.example", "v=spf1 a a a -all")
    dns = Dns(nameserver=zone.address)
    policy = spf_terms.parse("v=spf1 include:inner.example exists:%{i}.x.example -all redirect=unread.example")
    assert spf.count_lookups(dns, policy) == 5


# The address, the sender and the answers are those of RFC 7208 7.4.
@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("a%%b%_c%-", "a%b c%20"),
    ],
)
def test_macros_are_filled_in(text: str, expanded: str) -> None:
    given = {"domain": "email.example.com", "sender": "strong-bad@email.example.com"}
    assert spf_macros.expand(text, address=ip_address("192.0.2.3"), **given) == expanded


def test_an_address_of_the_new_kind_is_written_digit_by_digit() -> None:
    filled = spf_macros.expand(
        "%{ir}.%{v}", address=ip_address("2001:db8::cb01"), domain="example.com", sender="a@example.com"
    )
    assert filled == "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6"


def test_a_name_that_macros_made_too_long_loses_labels_at_its_left() -> None:
    sender = ".".join(["part"] * 60) + "@example.com"
    filled = spf_macros.expand("%{l}.example.com", address=ip_address(OURS), domain="example.com", sender=sender)
    assert len(filled) <= 253
    assert filled.endswith(".part.example.com")


@pytest.mark.parametrize(
    ("record", "longer"),
    [
        ("v=spf1 mx -all", "v=spf1 mx ip4:192.0.2.25 -all"),
        ("v=spf1", "v=spf1 ip4:192.0.2.25"),
        ("v=spf1 mx ~ALL redirect=x.example", "v=spf1 mx ip4:192.0.2.25 ~ALL redirect=x.example"),
    ],
)
def test_a_new_term_stands_where_it_has_a_say(record: str, longer: str) -> None:
    assert spf_terms.with_term(record, ["ip4:192.0.2.25"]) == longer


def test_parsing_takes_no_longer_for_a_record_made_to_be_slow() -> None:
    with pytest.raises(BadTerm):
        spf_terms.parse("v=spf1 a:" + "%{" * 20_000 + " a:" + "%{a}" * 20_000 + "/x")
