"""Settings: what the environment may say, and every reason for not starting, all at once."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.secret_keys import MIN_KEY_LENGTH
from newsletter_svc.settings import Settings, SettingsError, load

KEY = "Zq3-v8KpW1xT_b7LmR5yHs0NcJ2dGf9u"
PRODUCTION = {
    "NEWSLETTER_ENV": "production",
    "SECRET_KEYS": KEY,
    "PUBLIC_URL": "https://news.example.org",
    "MAIL_SERVER": "smtp.example.org",
    "MAIL_USE_TLS": "true",
    "MAIL_DEFAULT_SENDER": "briefing@example.org",
    "POSTAL_ADDRESS": "1 Example Street, London",
}


def loaded(**environ: str) -> Settings:
    return load({"SECRET_KEYS": KEY, **environ})


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.problems


@contextmanager
def problems_of() -> Iterator[list[str]]:
    """A list that holds the problems after the block, if there were any."""
    found: list[str] = []
    try:
        yield found
    except SettingsError as error:
        found += error.problems


def test_an_empty_environment_describes_a_service_for_development(tmp_path: Path) -> None:
    settings = load({"NEWSLETTER_VAR_DIR": str(tmp_path)})
    assert not settings.is_production
    assert settings.database_url == f"sqlite:///{tmp_path}/newsletter.db"
    assert settings.mailbox_dir == tmp_path / "mailbox"
    assert settings.public_url == settings.frontend_url == "http://127.0.0.1:8000"
    assert settings.publication_name == "The Global Diplomat"
    assert (settings.mail_connections, settings.mail_max_per_second, settings.mail_timeout) == (4, None, 600)
    assert (settings.delivery_lease_seconds, settings.unknown_resend_seconds) == (300, 900)


def test_the_folder_of_development_does_not_depend_on_where_a_process_goes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert loaded().var_dir == tmp_path / "var"


def test_every_value_is_read() -> None:
    settings = load(
        PRODUCTION
        | {
            "SECRET_KEYS": f"{KEY}, {KEY[::-1]}",
            "DATABASE_URL": "postgresql+psycopg://news@db.example.org/news",
            "OPERATOR_ADDRESS": "ops@example.org",
            "FRONTEND_URL": "https://www.example.org/",
            "FRONTEND_ORIGINS": "https://www.example.org, https://example.org",
            "PUBLICATION_NAME": "The Morning",
            "TIMEZONE": "Pacific/Apia",
            "LANGUAGE": "de",
            "MAIL_USERNAME": "user",
            "MAIL_PASSWORD": "secret",
            "MAIL_TRANSACTIONAL_SENDER": "door@example.org",
            "MAIL_REPLY_TO": "desk@example.org",
            "MAIL_CONNECTIONS": "8",
            "MAIL_MAX_PER_SECOND": "12.5",
            "MAIL_TIMEOUT": "30",
            "DELIVERY_LEASE_SECONDS": "60",
            "UNKNOWN_RESEND_SECONDS": "120",
            "BOUNCE_ADDRESS": "bounces@example.org",
        }
    )
    assert settings.is_production
    assert settings.secure_cookies
    assert settings.secret_keys == (KEY, KEY[::-1])
    assert settings.database_url == "postgresql+psycopg://news@db.example.org/news"
    assert settings.operator_address == "ops@example.org"
    assert settings.frontend_url == "https://www.example.org"
    assert settings.frontend_origins == ("https://www.example.org", "https://example.org")
    assert (settings.publication_name, settings.timezone, settings.language) == ("The Morning", "Pacific/Apia", "de")
    assert (settings.mail_server, settings.mail_port, settings.mail_use_tls) == ("smtp.example.org", 587, True)
    assert (settings.mail_username, settings.mail_password) == ("user", "secret")
    assert settings.mail_default_sender == "briefing@example.org"
    assert settings.mail_transactional_sender == "door@example.org"
    assert (settings.mail_reply_to, settings.bounce_address) == ("desk@example.org", "bounces@example.org")
    assert (settings.mail_connections, settings.mail_max_per_second, settings.mail_timeout) == (8, 12.5, 30)
    assert (settings.delivery_lease_seconds, settings.unknown_resend_seconds) == (60, 120)


@pytest.mark.parametrize("blank", ["", "   "])
def test_an_empty_variable_counts_as_unset(blank: str, tmp_path: Path) -> None:
    names = [each.name.upper() for each in fields(Settings) if each.name not in ("env", "var_dir")]
    base = {"NEWSLETTER_VAR_DIR": str(tmp_path)}
    assert load(base | dict.fromkeys([*names, "NEWSLETTER_ENV"], blank)) == load(base)


def test_what_is_not_said_follows_from_what_is() -> None:
    settings = loaded(PUBLIC_URL="https://news.example.org", MAIL_DEFAULT_SENDER="briefing@example.org")
    assert settings.frontend_url == "https://news.example.org"
    assert settings.frontend_origins == ("https://news.example.org",)
    assert settings.mail_transactional_sender == "briefing@example.org"


@pytest.mark.parametrize(
    ("flags", "port"),
    [({}, 25), ({"MAIL_USE_TLS": "1"}, 587), ({"MAIL_USE_SSL": "on"}, 465), ({"MAIL_PORT": "2525"}, 2525)],
)
def test_the_port_of_the_mail_server_follows_from_its_encryption(flags: dict[str, str], port: int) -> None:
    assert loaded(**flags).mail_port == port


@pytest.mark.parametrize(("word", "meant"), [("1", True), ("TRUE", True), ("yes", True), ("off", False), ("0", False)])
def test_flags_are_understood_in_several_words(word: str, meant: bool) -> None:
    assert loaded(MAIL_USE_TLS=word).mail_use_tls is meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEWSLETTER_ENV", "prod"),
        ("DATABASE_URL", "mysql://localhost/news"),
        ("DATABASE_URL", "postgresql://localhost/news"),
        ("PUBLIC_URL", "news.example.org"),
        ("PUBLIC_URL", "https://example.org/news"),
        ("PUBLIC_URL", "https://user@example.org"),
        ("PUBLIC_URL", "https://example.org:port"),
        ("FRONTEND_URL", "ftp://example.org"),
        ("FRONTEND_URL", "https://[example.org"),
        ("FRONTEND_ORIGINS", "https://example.org,*"),
        ("FRONTEND_ORIGINS", "null"),
        ("TIMEZONE", "London"),
        ("TIMEZONE", "../../etc/passwd"),
        ("MAIL_PORT", "0"),
        ("MAIL_PORT", "65536"),
        ("MAIL_PORT", "smtp"),
        ("MAIL_PORT", "25.0"),
        ("MAIL_USE_TLS", "maybe"),
        ("MAIL_DEFAULT_SENDER", "nobody"),
        ("MAIL_DEFAULT_SENDER", "The Global Diplomat <briefing@example.org>"),
        ("MAIL_DEFAULT_SENDER", "briefing@example.org\r\nBcc: all@example.org"),
        ("MAIL_TRANSACTIONAL_SENDER", "a@b"),
        ("MAIL_REPLY_TO", "one@example.org,two@example.org"),
        ("BOUNCE_ADDRESS", "@example.org"),
        ("MAIL_USERNAME", "user"),
        ("MAIL_PASSWORD", "hunter2"),
        ("MAIL_CONNECTIONS", "0"),
        ("MAIL_CONNECTIONS", "-1"),
        ("MAIL_MAX_PER_SECOND", "0"),
        ("MAIL_MAX_PER_SECOND", "nan"),
        ("MAIL_TIMEOUT", "inf"),
        ("DELIVERY_LEASE_SECONDS", "1e3"),
        ("UNKNOWN_RESEND_SECONDS", "soon"),
        ("LANGUAGE", "klingon"),
        ("LANGUAGE", "en-GB-oed-x"),
        ("BRAND_COLOR", "red"),
        ("BRAND_COLOR", "#abc"),
        ("BRAND_COLOR", "#ffcc00"),
        ("BRAND_COLOR_DARK", "#102030"),
        ("BUTTON_COLOR", "url(x)"),
        ("LOGO_URL", "/logo.png"),
        ("LOGO_URL", "data:image/png;base64,AAAA"),
        ("LOGO_URL", 'https://x.example/"><script>'),
        ("LOGO_WIDTH", "2000"),
        ("TEMPLATES_DIR", "/nowhere/at/all"),
        ("TEMPLATES_DIR", "x" * 5000),
        ("WELCOME_MAIL", "perhaps"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    [problem] = problems({"SECRET_KEYS": KEY, name: value})
    assert name in problem


@given(value=st.text())
def test_whatever_stands_in_a_variable_is_a_value_or_a_named_problem(value: str) -> None:
    names = ("PUBLIC_URL", "FRONTEND_ORIGINS", "TIMEZONE", "MAIL_PORT", "MAIL_MAX_PER_SECOND", "BOUNCE_ADDRESS")
    for name in (*names, "LANGUAGE", "LOGO_URL", "BRAND_COLOR", "TEMPLATES_DIR"):
        with problems_of() as found:
            loaded(**{name: value})
        assert all(name in problem for problem in found)


def test_a_brand_colour_that_cannot_be_read_is_refused_with_one_that_can() -> None:
    [problem] = problems({"SECRET_KEYS": KEY, "BRAND_COLOR": "#FFCC00"})
    assert "links in #ffcc00 cannot be read on #ffffff" in problem
    assert "the contrast is 1.4, 4.5 is the least" in problem
    assert loaded(BRAND_COLOR=problem.removesuffix(".").rpartition(" ")[2]).brand_color is not None


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("de", "de"),
        ("en_US", "en-US"),
        ("pt-BR", "pt-BR"),
        ("zh_Hant", "zh-Hant"),
        ("de_DE.UTF-8", "de-DE"),
        ("fr:en", "fr"),
    ],
)
def test_a_language_is_understood_as_programs_write_it(value: str, language: str) -> None:
    assert loaded(LANGUAGE=value).language == language


def test_every_problem_is_named_at_once() -> None:
    found = problems(
        {
            "NEWSLETTER_ENV": "production",
            "SECRET_KEYS": "short",
            "DATABASE_URL": "oracle://",
            "MAIL_PORT": "many",
            "MAIL_USE_TLS": "true",
            "MAIL_USE_SSL": "true",
            "TIMEZONE": "Mars/Olympus",
        }
    )
    for name in (
        *("SECRET_KEYS", "DATABASE_URL", "MAIL_PORT", "MAIL_USE_SSL", "TIMEZONE"),
        *("MAIL_SERVER", "PUBLIC_URL", "MAIL_DEFAULT_SENDER", "POSTAL_ADDRESS"),
    ):
        assert any(name in problem for problem in found), name


def test_production_starts_with_what_it_needs() -> None:
    settings = load(PRODUCTION)
    assert settings.is_production
    assert settings.mailbox_dir is None


@pytest.mark.parametrize("name", sorted(set(PRODUCTION) - {"NEWSLETTER_ENV", "MAIL_USE_TLS"}))
def test_production_refuses_to_start_without(name: str) -> None:
    assert any(name in problem for problem in problems(PRODUCTION | {name: ""}))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEYS": "k" * (MIN_KEY_LENGTH - 1)}, "SECRET_KEYS"),
        ({"SECRET_KEYS": f"{KEY},short"}, "SECRET_KEYS"),
        ({"SECRET_KEYS": "x" * 48}, "SECRET_KEYS"),
        ({"SECRET_KEYS": f"{KEY},{'abc' * 12}"}, "SECRET_KEYS"),
        ({"MAIL_USE_TLS": ""}, "MAIL_USE_TLS"),
        ({"PUBLIC_URL": "http://news.example.org"}, "PUBLIC_URL"),
        ({"LOGO_URL": "http://news.example.org/logo.png"}, "LOGO_URL"),
    ],
)
def test_production_refuses_what_is_unsafe(change: dict[str, str], named: str) -> None:
    [problem] = problems(PRODUCTION | change)
    assert named in problem


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_production_may_speak_plain_text_with_a_mail_server_on_the_same_machine(host: str) -> None:
    assert load(PRODUCTION | {"MAIL_SERVER": host, "MAIL_USE_TLS": ""}).mail_server == host


def test_production_speaks_plain_text_with_another_machine_only_when_told_so() -> None:
    assert load(PRODUCTION | {"MAIL_USE_TLS": "", "MAIL_ALLOW_PLAINTEXT": "true"}).mail_allow_plaintext


def test_production_makes_no_key_of_its_own(tmp_path: Path) -> None:
    problems(PRODUCTION | {"SECRET_KEYS": "", "NEWSLETTER_VAR_DIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_a_mail_server_puts_an_end_to_the_local_mailbox() -> None:
    assert loaded(MAIL_SERVER="localhost").mailbox_dir is None


def test_development_makes_its_key_once_and_keeps_it_to_itself(tmp_path: Path) -> None:
    first, second = (load({"NEWSLETTER_VAR_DIR": str(tmp_path / "var")}) for _ in range(2))
    assert first.secret_keys == second.secret_keys
    assert len(first.secret_keys[0]) >= MIN_KEY_LENGTH
    [kept] = (tmp_path / "var").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    code = "import os; from newsletter_svc import settings; print(settings.load(os.environ).secret_keys[0])"
    environ = os.environ | {"NEWSLETTER_VAR_DIR": str(tmp_path), "SECRET_KEYS": "", "NEWSLETTER_ENV": ""}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    keys = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0] * 8
    assert len(keys) == 1
    assert keys.pop()
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


POSTGRES = "postgresql+psycopg://news@db.example.org/news"


@pytest.mark.parametrize(
    "broker",
    [
        "redis://:hunter2@redis.example.org:6379/0",
        "rediss://redis.example.org",
        "redis+socket:///run/redis.sock",
        "amqp://news:hunter2@rabbit.example.org//",
        "amqps://rabbit.example.org",
    ],
)
def test_a_broker_is_one_that_celery_knows(broker: str) -> None:
    settings = loaded(BROKER_URL=broker, DATABASE_URL=POSTGRES)
    assert settings.broker_url == broker
    assert broker not in repr(settings)


@pytest.mark.parametrize("broker", ["redis+unix:///run/redis.sock", "hunter2", "sqs://", "memory://"])
def test_another_broker_is_refused_without_quoting_it(broker: str) -> None:
    [problem] = problems({"SECRET_KEYS": KEY, "BROKER_URL": broker, "DATABASE_URL": POSTGRES})
    assert "BROKER_URL must begin with redis://" in problem
    assert broker not in problem


def test_a_broker_needs_a_database_that_other_machines_can_reach() -> None:
    [problem] = problems({"SECRET_KEYS": KEY, "BROKER_URL": "redis://localhost"})
    assert problem.startswith("BROKER_URL needs PostgreSQL")


def test_secrets_do_not_show_where_settings_are_printed() -> None:
    settings = loaded(MAIL_USERNAME="user", MAIL_PASSWORD="hunter2-hunter2")
    assert KEY not in repr(settings)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", ["SECRET_KEYS", "MAIL_PASSWORD"])
def test_a_problem_never_quotes_a_secret(name: str) -> None:
    found = problems({"NEWSLETTER_ENV": "production", name: "hunter2"})
    assert not any("hunter2" in problem for problem in found)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        loaded().env = "production"  # type: ignore[misc]
