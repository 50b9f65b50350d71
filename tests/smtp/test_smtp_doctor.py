"""What the doctor says of a mail server, asked over real connections; no mail is ever sent."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import trustme

from newsletter_svc.clock import utcnow
from newsletter_svc.doctor import server_check
from newsletter_svc.doctor.findings import Finding, Verdict
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.settings import Settings
from tests.fakes.smtp import Sink

PASSWORD = "the password that nobody may see"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextmanager
def protected(authority: trustme.CA, *names: str, implicit: bool = False, days: int = 90) -> Iterator[Sink]:
    """A server with a certificate for these names that ends in so many days and a little."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = utcnow() + timedelta(days=days, hours=1)
    authority.issue_cert(*names, not_after=ends).configure_cert(context)
    with Sink(tls=context, implicit_tls=implicit, credentials=("newsletter", PASSWORD)) as sink:
        yield sink


def look_at(sink: Sink, *, tls: ssl.SSLContext | None = None, **settings: object) -> list[Finding]:
    given = {"mail_server": "127.0.0.1", "mail_port": sink.port, "bounce_address": "bounces@example.org", **settings}
    setup = Setup(Settings(secret_keys=("k" * 32,), **given), Dns(), tls=tls)  # type: ignore[arg-type]
    findings = list(server_check.check(setup))
    assert PASSWORD not in str(findings)
    assert sink.received == []
    return findings


def verdicts(findings: list[Finding]) -> set[Verdict]:
    return {each.verdict for each in findings}


@pytest.mark.parametrize("implicit", [False, True])
def test_a_server_with_tls_and_the_right_password_is_good(
    authority: trustme.CA, trusting: ssl.SSLContext, implicit: bool
) -> None:
    with protected(authority, "127.0.0.1", implicit=implicit) as sink:
        found = look_at(
            sink,
            tls=trusting,
            mail_use_ssl=implicit,
            mail_use_tls=not implicit,
            mail_username="newsletter",
            mail_password=PASSWORD,
        )
    assert verdicts(found) == {Verdict.GOOD}
    assert [each.text for each in found] == [
        "is reached over TLSv1.3; its certificate is good for 90 days.",
        "takes MAIL_USERNAME and MAIL_PASSWORD.",
        "takes mail from bounces@example.org.",
    ]


def test_a_wrong_password_is_a_failure_with_the_servers_answer(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with protected(authority, "127.0.0.1") as sink:
        found = look_at(
            sink, tls=trusting, mail_use_tls=True, mail_username="newsletter", mail_password=f"not {PASSWORD}"
        )
    assert found[-1].verdict is Verdict.FAILURE
    assert found[-1].text.startswith("does not let us sign in: it answers 535 5.7.8")


def test_a_certificate_that_ends_soon_is_a_warning(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with protected(authority, "127.0.0.1", days=3) as sink:
        found = look_at(sink, tls=trusting, mail_use_tls=True)
    assert found[0].verdict is Verdict.WARNING
    assert "good for 3 days" in found[0].text


def test_a_certificate_that_nobody_signed_is_a_failure_with_the_reason(authority: trustme.CA) -> None:
    with protected(authority, "127.0.0.1") as sink:
        (found,) = look_at(sink, mail_use_tls=True)
    assert found.verdict is Verdict.FAILURE
    assert "its certificate is not to be trusted (unable to get local issuer certificate" in found.text


def test_a_certificate_for_another_name_is_a_failure_with_the_reason(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    with protected(authority, "other.example.org", implicit=True) as sink:
        (found,) = look_at(sink, tls=trusting, mail_use_ssl=True)
    assert "certificate is not valid for '127.0.0.1'" in found.text


def test_a_server_without_starttls_is_a_failure(sink: Sink) -> None:
    (found,) = look_at(sink, mail_use_tls=True)
    assert found.verdict is Verdict.FAILURE
    assert "it offers no STARTTLS" in found.text


def test_tls_from_the_first_byte_at_a_server_that_speaks_none_is_a_failure(sink: Sink) -> None:
    (found,) = look_at(sink, mail_use_ssl=True)
    assert found.verdict is Verdict.FAILURE
    assert "it speaks no TLS there" in found.text


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    with Sink() as gone:
        pass
    (found,) = look_at(gone)
    assert "nothing listens on that port" in found.text


def test_a_name_without_an_address_is_a_failure(sink: Sink) -> None:
    (found,) = look_at(sink, mail_server="smtp.invalid")
    assert "its name cannot be resolved" in found.text


def test_a_server_that_turns_us_away_is_quoted(sink: Sink) -> None:
    sink.answer("banner", "554 5.7.1 go away")
    (found,) = look_at(sink)
    assert found.text == "cannot be used: it answers 554 5.7.1 go away."


def test_a_server_on_this_machine_needs_no_tls(sink: Sink) -> None:
    assert verdicts(look_at(sink)) == {Verdict.GOOD}


def test_a_sender_that_the_server_refuses_is_a_failure(sink: Sink) -> None:
    sink.answer("mail", "550 5.7.60 not your address")
    found = look_at(sink)
    assert found[-1].verdict is Verdict.FAILURE
    assert found[-1].text == "does not take mail from bounces@example.org: 550 5.7.60 not your address."
    assert not any(command.startswith(("RCPT", "DATA")) for command in sink.commands)


def test_without_a_server_nothing_is_asked(sink: Sink) -> None:
    (found,) = look_at(sink, mail_server=None)
    assert found.verdict is Verdict.UNCHECKED
    assert sink.connections == 0
