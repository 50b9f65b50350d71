"""DKIM's settings: together or not at all, a key that others accept, a domain that speaks for our sender."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from newsletter_svc.dkim_keys import UnusableKey, is_aligned, load_key
from newsletter_svc.settings import Settings, SettingsError, load
from tests.signing import KEY, PEM, key_file

PRODUCTION = {
    "NEWSLETTER_ENV": "production",
    "SECRET_KEYS": "a key for tests that is long enough to sign with",
    "PUBLIC_URL": "https://news.example.org",
    "MAIL_SERVER": "localhost",
    "MAIL_DEFAULT_SENDER": "briefing@news.example.org",
    "POSTAL_ADDRESS": "1 Example Street, London",
}
UNUSABLE = {
    "empty": b"",
    "words": b"no key",
    "1024 bits": rsa.generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "another kind": ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ),
    "encrypted": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
    "public": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
}


def environ(tmp_path: Path, **changes: str) -> dict[str, str]:
    names = {"DKIM_DOMAIN": "example.org", "DKIM_SELECTOR": "s2026"}
    return {**PRODUCTION, **names, "DKIM_PRIVATE_KEY_FILE": str(key_file(tmp_path)), **changes}


def problem(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    [found] = caught.value.problems
    return found


def test_all_three_together_sign(tmp_path: Path) -> None:
    settings = load(environ(tmp_path))
    assert (settings.dkim_domain, settings.dkim_selector) == ("example.org", "s2026")
    assert settings.dkim_private_key_file == tmp_path / "dkim.pem"


def test_the_key_does_not_stand_in_the_settings(tmp_path: Path) -> None:
    assert PEM.splitlines()[1].decode() not in repr(load(environ(tmp_path)))


def test_a_key_file_is_found_wherever_a_process_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(key_file(tmp_path).parent)
    settings = load(environ(tmp_path, DKIM_PRIVATE_KEY_FILE="dkim.pem"))
    assert settings.dkim_private_key_file == tmp_path / "dkim.pem"


@pytest.mark.parametrize("missing", ["DKIM_DOMAIN", "DKIM_SELECTOR", "DKIM_PRIVATE_KEY_FILE"])
def test_two_of_three_are_too_few(missing: str, tmp_path: Path) -> None:
    assert "go together" in problem(environ(tmp_path, **{missing: ""}))


@pytest.mark.parametrize("pem", UNUSABLE.values(), ids=list(UNUSABLE))
def test_a_key_that_others_would_not_accept_is_refused(pem: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnusableKey):
        load_key(pem)
    key_file(tmp_path, pem)
    found = problem({**environ(tmp_path), "DKIM_PRIVATE_KEY_FILE": str(key_file(tmp_path, pem))})
    assert found.startswith("DKIM_PRIVATE_KEY_FILE: it ")
    assert not any(line in found for line in pem.decode().splitlines())


def test_a_file_that_is_missing_or_none_is_named_as_such(tmp_path: Path) -> None:
    missing = problem(environ(tmp_path, DKIM_PRIVATE_KEY_FILE=str(tmp_path / "other.pem")))
    assert missing == "DKIM_PRIVATE_KEY_FILE: the file cannot be read (No such file or directory)."
    assert "cannot be read" in problem(environ(tmp_path, DKIM_PRIVATE_KEY_FILE=str(tmp_path)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named_as_such(tmp_path: Path) -> None:
    settings = environ(tmp_path)
    (tmp_path / "dkim.pem").chmod(0)
    assert "Permission denied" in problem(settings)


def test_a_key_in_place_of_its_path_is_not_repeated(tmp_path: Path) -> None:
    found = problem(environ(tmp_path, DKIM_PRIVATE_KEY_FILE=PEM.decode()))
    assert "cannot be read" in found
    assert not any(line in found for line in PEM.decode().splitlines())


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_production_refuses_a_key_that_others_may_read_or_change(mode: int, tmp_path: Path) -> None:
    settings = environ(tmp_path)
    (tmp_path / "dkim.pem").chmod(mode)
    assert "chmod" in problem(settings)
    assert load(settings | {"NEWSLETTER_ENV": "development"}).dkim_private_key_file is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DKIM_DOMAIN", "example"),
        ("DKIM_DOMAIN", "example.org."),
        ("DKIM_DOMAIN", "bücher.example"),
        ("DKIM_DOMAIN", "example.org; x=1"),
        ("DKIM_DOMAIN", "example.com"),
        ("DKIM_SELECTOR", "s 2026"),
        ("DKIM_SELECTOR", "s;d=evil.example"),
    ],
)
def test_a_name_that_cannot_be_right_is_named(name: str, value: str, tmp_path: Path) -> None:
    assert name in problem(environ(tmp_path, **{name: value}))


@pytest.mark.parametrize(
    ("domain", "sender"),
    [
        ("example.org", "example.org"),
        ("example.org", "news.example.org"),
        ("mail.example.org", "example.org"),
        ("mail.example.org", "News.Example.org"),
        ("example.co.uk", "news.example.co.uk"),
    ],
)
def test_a_domain_speaks_for_the_others_of_its_organisation(domain: str, sender: str) -> None:
    assert is_aligned(domain, sender)


@pytest.mark.parametrize(
    ("domain", "sender"),
    [("example.org", "example.com"), ("one.co.uk", "two.co.uk"), ("ample.org", "example.org"), ("org", "example.org")],
)
def test_a_domain_speaks_for_no_other_organisation(domain: str, sender: str) -> None:
    assert not is_aligned(domain, sender)


def test_without_them_nothing_is_signed() -> None:
    settings = Settings(secret_keys=("k" * 40,))
    assert settings.dkim_domain is settings.dkim_selector is settings.dkim_private_key_file is None
