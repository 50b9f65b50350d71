"""What the doctor says of a deployment's DNS: all is well, and then each thing that can be wrong by itself."""

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from newsletter_svc.doctor import dkim_check, dmarc_check, mx_check, ptr_check, spf_check
from newsletter_svc.doctor.examination import examine
from newsletter_svc.doctor.findings import Finding, Record, Topic, Verdict
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.settings import Settings
from tests.fakes.nameserver import Nameserver

SELECTOR = "s2026._domainkey.example.org"
OUT = "192.0.2.25"
SETTINGS = Settings(
    secret_keys=(base64.b64encode(os.urandom(48)).decode(),),
    mail_server="smtp.example.org",
    mail_default_sender="briefing@example.org",
    mail_transactional_sender="sign-in@example.org",
    bounce_address="bounces@bounces.example.org",
)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def healthy(nameserver: Nameserver, key: rsa.RSAPrivateKey, tmp_path: Path) -> Setup:
    """A deployment with its own mail server, and everything as it should be."""
    nameserver.host("smtp.example.org", OUT)
    nameserver.add("25.2.0.192.in-addr.arpa", "PTR", "smtp.example.org.")
    for domain in ("example.org", "bounces.example.org"):
        nameserver.add(domain, "MX", "10 smtp.example.org.")
        nameserver.text(domain, "v=spf1 mx -all")
    nameserver.text("_dmarc.example.org", "v=DMARC1; p=reject; rua=mailto:reports@example.org")
    nameserver.text(SELECTOR, f"v=DKIM1; k=rsa; p={public(key)}")
    path = tmp_path / "dkim.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings = replace(SETTINGS, dkim_domain="example.org", dkim_selector="s2026", dkim_private_key_file=path)
    # Patient, since a busy machine may keep the nameserver's thread waiting: an answer that is late is a failure here.
    return Setup(settings, Dns(nameserver=nameserver.address, seconds=30))


def public(key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def changed(setup: Setup, **settings: object) -> Setup:
    return replace(setup, settings=replace(setup.settings, **settings))  # type: ignore[arg-type]


def bad(findings: Iterator[Finding]) -> list[Finding]:
    return [each for each in findings if each.verdict is not Verdict.GOOD]


def only(findings: Iterator[Finding]) -> Finding:
    (found,) = bad(findings)
    return found


def test_where_all_is_well_nothing_is_wrong(healthy: Setup) -> None:
    found = [each for each in examine(healthy) if each.topic not in (Topic.SETTINGS, Topic.SERVER)]
    assert {each.verdict for each in found} == {Verdict.GOOD}
    assert {each.topic for each in found} == {Topic.SPF, Topic.DKIM, Topic.DMARC, Topic.MX, Topic.PTR}


class TestSpf:
    @staticmethod
    def said(setup: Setup) -> list[Finding]:
        return bad(spf_check.check(setup, "bounces@bounces.example.org"))

    @staticmethod
    def publish(nameserver: Nameserver, *texts: str) -> None:
        nameserver.remove("bounces.example.org", "TXT")
        nameserver.text("bounces.example.org", *texts)

    def test_a_missing_record_is_given_with_the_servers_own_address(
        self, healthy: Setup, nameserver: Nameserver
    ) -> None:
        nameserver.remove("bounces.example.org", "TXT")
        (found,) = self.said(healthy)
        assert found.verdict is Verdict.FAILURE
        assert found.text.startswith("has no SPF record")
        assert found.record == Record("bounces.example.org", "TXT", f"v=spf1 ip4:{OUT} ~all")

    def test_a_domain_that_does_not_exist_is_called_so(self, healthy: Setup) -> None:
        found = only(spf_check.check(healthy, "bounces@example.net"))
        assert found.text.startswith("does not exist in the DNS (NXDOMAIN)")

    def test_of_two_records_one_is_made(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=spf1 mx ip4:192.0.2.1 -all", "v=spf1 mx include:other.example ~all")
        (found,) = self.said(healthy)
        assert "has 2 SPF records" in found.text
        assert found.record is not None
        assert found.record.value == "v=spf1 mx include:other.example ip4:192.0.2.1 ~all"

    def test_a_record_that_lets_anybody_send_is_a_failure(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=spf1 +all")
        (found,) = self.said(healthy)
        assert (found.verdict, found.text[:15]) == (Verdict.FAILURE, "ends in +all: a")

    @pytest.mark.parametrize("record", ["v=spf1 mx", "v=spf1 mx ?all"])
    def test_a_record_without_an_end_is_a_warning(self, healthy: Setup, nameserver: Nameserver, record: str) -> None:
        self.publish(nameserver, record)
        (found,) = self.said(healthy)
        assert found.verdict is Verdict.WARNING
        assert "End it with ~all" in found.text

    def test_a_broken_term_is_named(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=spf1 a:192.0.2.25 -all")
        (found,) = self.said(healthy)
        assert found.verdict is Verdict.FAILURE
        assert "'a:192.0.2.25' names no domain" in found.text

    def test_more_lookups_than_receivers_make_are_counted(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.text("many.example", "v=spf1 " + "mx:example.org " * 11 + "-all")
        self.publish(nameserver, "v=spf1 mx include:many.example -all")
        (found,) = self.said(healthy)
        assert found.verdict is Verdict.FAILURE
        assert "needs 13 lookups" in found.text

    def test_an_own_server_that_is_not_covered_is_a_failure_with_the_term_to_add(
        self, healthy: Setup, nameserver: Nameserver
    ) -> None:
        self.publish(nameserver, "v=spf1 ip4:192.0.2.1 ~all")
        (found,) = self.said(healthy)
        assert (found.verdict, found.text) == (Verdict.FAILURE, f"does not let {OUT} send (softfail).")
        assert found.record is not None
        assert found.record.value == f"v=spf1 ip4:192.0.2.1 ip4:{OUT} ~all"

    def test_a_providers_server_that_is_not_covered_is_a_warning(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.host("smtp.provider.example", "198.51.100.25")
        (found,) = self.said(changed(healthy, mail_server="smtp.provider.example"))
        assert found.verdict is Verdict.WARNING
        assert "198.51.100.25, where MAIL_SERVER is" in found.text

    def test_a_known_providers_include_is_looked_for_through_others(
        self, healthy: Setup, nameserver: Nameserver
    ) -> None:
        setup = changed(healthy, mail_server="email-smtp.eu-west-1.amazonaws.com")
        (found,) = self.said(setup)
        assert found.record is not None
        assert found.record.value == "v=spf1 mx include:amazonses.com -all"

        nameserver.text("amazonses.com", "v=spf1 ip4:198.51.100.0/24 -all")
        nameserver.text("ours.example", "v=spf1 include:amazonses.com -all")
        self.publish(nameserver, "v=spf1 include:ours.example -all")
        assert self.said(replace(setup, dns=Dns(nameserver=nameserver.address))) == []

    def test_a_stated_address_is_asked_about_instead_of_the_servers(self, healthy: Setup) -> None:
        (found,) = self.said(replace(healthy, stated_addresses=[ip_address("2001:db8::25")]))
        assert found.verdict is Verdict.FAILURE
        assert found.record is not None
        assert found.record.value == "v=spf1 mx ip6:2001:db8::25 -all"

    @pytest.mark.parametrize("server", ["127.0.0.1", "localhost", "10.1.2.3", "nowhere.example.org"])
    def test_an_address_that_nobody_outside_sees_is_not_judged(self, healthy: Setup, server: str) -> None:
        (found,) = self.said(changed(healthy, mail_server=server))
        assert found.verdict is Verdict.UNCHECKED
        assert "--sending-address" in found.text

    def test_a_policy_that_cannot_be_evaluated_says_why(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=spf1 exists:%{q}.example.org mx -all")
        (found,) = self.said(healthy)
        assert "cannot be evaluated for 192.0.2.25 (permerror)" in found.text


class TestDkim:
    @staticmethod
    def publish(nameserver: Nameserver, *texts: str) -> None:
        nameserver.remove(SELECTOR, "TXT")
        nameserver.text(SELECTOR, *texts)

    def test_a_missing_record_is_given_whole(
        self, healthy: Setup, nameserver: Nameserver, key: rsa.RSAPrivateKey
    ) -> None:
        nameserver.remove(SELECTOR, "TXT")
        found = only(dkim_check.check(healthy))
        assert found.verdict is Verdict.FAILURE
        assert found.text.startswith("does not exist (NXDOMAIN)")
        assert found.record == Record(SELECTOR, "TXT", f"v=DKIM1; k=rsa; p={public(key)}")

    def test_the_line_to_publish_is_one_that_a_zone_file_takes(
        self, healthy: Setup, nameserver: Nameserver, key: rsa.RSAPrivateKey
    ) -> None:
        nameserver.remove(SELECTOR, "TXT")
        found = only(dkim_check.check(healthy))
        assert found.record is not None
        zone = dns.zone.from_text(f"{found.record.line}\n", origin=f"{SELECTOR}.", check_origin=False, relativize=False)
        (data,) = zone.get_rdataset(f"{SELECTOR}.", "TXT", create=True)
        assert b"".join(data.strings).decode() == f"v=DKIM1; k=rsa; p={public(key)}"
        assert max(map(len, data.strings)) <= 255

    def test_another_key_is_a_failure(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, f"v=DKIM1; p={public(rsa.generate_private_key(65537, 2048))}")
        found = only(dkim_check.check(healthy))
        assert found.verdict is Verdict.FAILURE
        assert "another key than DKIM_PRIVATE_KEY_FILE" in found.text

    def test_the_same_key_in_its_older_notation_is_the_same_key(
        self, healthy: Setup, nameserver: Nameserver, key: rsa.RSAPrivateKey
    ) -> None:
        pkcs1 = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self.publish(nameserver, f"p={base64.b64encode(pkcs1).decode()}")
        assert bad(dkim_check.check(healthy)) == []

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            ("v=DKIM1; p=", "is revoked"),
            ("v=DKIM1; k=rsa", "no DKIM key"),
            ("v=DKIM2; p={key}", "no DKIM key"),
            ("hello", "no DKIM key"),
            ("v=DKIM1; p=%%%%", "another key"),
            ("v=DKIM1; k=ed25519; p={ed25519}", "a key of another kind (ed25519)"),
            ("v=DKIM1; h=sha1; p={key}", "does not allow sha256"),
            ("v=DKIM1; s=other; p={key}", "not meant for mail"),
        ],
    )
    def test_what_receivers_do_not_accept_is_a_failure(
        self, healthy: Setup, nameserver: Nameserver, key: rsa.RSAPrivateKey, record: str, reason: str
    ) -> None:
        other = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        self.publish(nameserver, record.format(key=public(key), ed25519=base64.b64encode(other).decode()))
        found = only(dkim_check.check(healthy))
        assert found.verdict is Verdict.FAILURE
        assert reason in found.text

    def test_a_key_marked_as_a_test_is_a_warning(
        self, healthy: Setup, nameserver: Nameserver, key: rsa.RSAPrivateKey
    ) -> None:
        self.publish(nameserver, f"v=DKIM1; t=s:y; h=sha1:sha256; s=email; p={public(key)}")
        found = only(dkim_check.check(healthy))
        assert found.verdict is Verdict.WARNING
        assert "t=y" in found.text

    def test_two_records_are_one_too_many(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.text(SELECTOR, "v=DKIM1; p=")
        assert "has 2 records" in only(dkim_check.check(healthy)).text

    def test_a_key_file_that_has_gone_is_a_failure_and_nothing_of_it_is_shown(self, healthy: Setup) -> None:
        assert healthy.settings.dkim_private_key_file is not None
        healthy.settings.dkim_private_key_file.unlink()
        found = only(dkim_check.check(healthy))
        assert (found.verdict, found.subject) == (Verdict.FAILURE, "DKIM_PRIVATE_KEY_FILE")

    def test_unsigned_mail_is_a_warning(self, healthy: Setup) -> None:
        found = only(dkim_check.check(changed(healthy, dkim_domain=None)))
        assert found.verdict is Verdict.WARNING
        assert "nothing is signed here" in found.text


class TestDmarc:
    @staticmethod
    def publish(nameserver: Nameserver, *texts: str) -> None:
        nameserver.remove("_dmarc.example.org", "TXT")
        nameserver.text("_dmarc.example.org", *texts)

    def test_a_missing_record_is_a_failure_with_the_record_to_begin_with(
        self, healthy: Setup, nameserver: Nameserver
    ) -> None:
        nameserver.remove("_dmarc.example.org", "TXT")
        found = only(dmarc_check.check(healthy, "news.example.org"))
        assert found.verdict is Verdict.FAILURE
        assert found.record is not None
        assert found.record.line == (
            '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@news.example.org"'
        )

    def test_a_subdomain_is_spoken_for_by_its_organisation(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=DMARC1; p=reject; sp=none; rua=mailto:reports@example.org")
        assert only(dmarc_check.check(healthy, "news.example.org")).text.startswith("asks for nothing yet (p=none)")
        assert bad(dmarc_check.check(healthy, "example.org")) == []

    def test_a_policy_of_nothing_is_a_warning(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=DMARC1;p=none;rua=mailto:reports@example.org;")
        assert only(dmarc_check.check(healthy, "example.org")).verdict is Verdict.WARNING

    @pytest.mark.parametrize(
        ("records", "reason"),
        [
            (["v=DMARC1"], "names no policy"),
            (["v=DMARC1; p=block"], "names no policy"),
            (["v=DMARC1; p=none; p=reject"], "names no policy"),
            (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "has 2 records"),
            (["p=none; v=DMARC1"], "has no DMARC record"),
        ],
    )
    def test_a_record_that_receivers_ignore_is_a_failure(
        self, healthy: Setup, nameserver: Nameserver, records: list[str], reason: str
    ) -> None:
        self.publish(nameserver, *records)
        found = only(dmarc_check.check(healthy, "example.org"))
        assert found.verdict is Verdict.FAILURE
        assert reason in found.text

    def test_reports_that_nobody_gets_are_a_warning(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=DMARC1; p=reject;")
        found = only(dmarc_check.check(healthy, "example.org"))
        assert found.verdict is Verdict.WARNING
        assert found.record is not None
        assert found.record.value == "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"

    def test_reports_to_another_organisation_need_its_word(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=DMARC1; p=reject; rua=mailto:a@reports.example!10m, mailto:b@example.org")
        found = only(dmarc_check.check(healthy, "example.org"))
        assert found.record == Record("example.org._report._dmarc.reports.example", "TXT", "v=DMARC1")

        nameserver.text("example.org._report._dmarc.reports.example", "v=DMARC1;")
        setup = replace(healthy, dns=Dns(nameserver=nameserver.address))
        assert bad(dmarc_check.check(setup, "example.org")) == []

    def test_alignment_may_rest_on_one_of_the_two(self, healthy: Setup) -> None:
        by_spf = changed(healthy, dkim_domain="other.example")
        by_dkim = changed(healthy, bounce_address="b@other.example")
        assert [each.text for each in dmarc_check.check(by_spf, "example.org")][-1] == "is aligned by SPF."
        assert [each.text for each in dmarc_check.check(by_dkim, "example.org")][-1] == "is aligned by DKIM."

    def test_no_alignment_is_a_failure_where_we_sign_and_a_warning_where_we_do_not(self, healthy: Setup) -> None:
        foreign = changed(healthy, dkim_domain="other.example", bounce_address="b@provider.example")
        assert only(dmarc_check.check(foreign, "example.org")).verdict is Verdict.FAILURE
        assert only(dmarc_check.check(changed(foreign, dkim_domain=None), "example.org")).verdict is Verdict.WARNING

    def test_a_strict_policy_wants_the_very_same_domain(self, healthy: Setup, nameserver: Nameserver) -> None:
        self.publish(nameserver, "v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:reports@example.org")
        assert [each.text for each in dmarc_check.check(healthy, "example.org")][-1] == "is aligned by DKIM."
        assert only(dmarc_check.check(healthy, "news.example.org")).verdict is Verdict.FAILURE


class TestMx:
    def test_a_domain_without_anything_is_a_failure(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.text("empty.example", "nothing")
        found = only(mx_check.check(healthy.dns, "empty.example"))
        assert found.verdict is Verdict.FAILURE
        assert found.text.startswith("has neither MX nor an address")
        assert "NXDOMAIN" in only(mx_check.check(healthy.dns, "nowhere.example")).text

    def test_a_domain_with_an_address_alone_is_a_warning(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.host("bare.example", "192.0.2.80")
        assert only(mx_check.check(healthy.dns, "bare.example")).verdict is Verdict.WARNING

    @pytest.mark.parametrize(
        ("exchange", "reason"),
        [
            ("0 .", "takes no mail (null MX)"),
            ("10 nowhere.example.org.", "names nowhere.example.org as MX, which has no address"),
            ("10 192.0.2.25.", "names the address 192.0.2.25 as MX"),
        ],
    )
    def test_an_exchange_that_takes_no_mail_is_a_failure(
        self, healthy: Setup, nameserver: Nameserver, exchange: str, reason: str
    ) -> None:
        nameserver.add("odd.example", "MX", exchange)
        found = only(mx_check.check(healthy.dns, "odd.example"))
        assert found.verdict is Verdict.FAILURE
        assert reason in found.text


class TestPtr:
    def test_an_address_without_a_name_is_a_failure(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.remove("25.2.0.192.in-addr.arpa", "PTR")
        found = only(ptr_check.check(healthy))
        assert found.verdict is Verdict.FAILURE
        assert found.record == Record("25.2.0.192.in-addr.arpa", "PTR", "smtp.example.org.")

    def test_a_name_that_does_not_lead_back_is_a_failure(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.remove("25.2.0.192.in-addr.arpa", "PTR")
        nameserver.add("25.2.0.192.in-addr.arpa", "PTR", "other.example.org.")
        found = only(ptr_check.check(healthy))
        assert found.text == "is called other.example.org, which does not lead back to it."
        assert found.record == Record("other.example.org", "A", OUT)

    def test_a_providers_address_is_its_own_business(self, healthy: Setup, nameserver: Nameserver) -> None:
        nameserver.host("smtp.provider.example", "198.51.100.25")
        found = only(ptr_check.check(changed(healthy, mail_server="smtp.provider.example")))
        assert found.verdict is Verdict.WARNING


def test_what_the_dns_does_not_answer_is_a_failure_that_says_so(healthy: Setup, nameserver: Nameserver) -> None:
    nameserver.fail("_dmarc.example.org")
    nameserver.fall_silent("bounces.example.org")
    impatient = replace(healthy, dns=Dns(nameserver=nameserver.address, seconds=0.5))
    found = {each.topic: each for each in examine(impatient) if "could not be checked" in each.text}
    assert {each.verdict for each in found.values()} == {Verdict.FAILURE}
    assert "SERVFAIL" in found[Topic.DMARC].text
    assert "within 0.5 seconds (timeout)" in found[Topic.SPF].text
    assert "within 0.5 seconds (timeout)" in found[Topic.MX].text
