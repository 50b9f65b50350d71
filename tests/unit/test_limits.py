"""Rate limits: whose counter it is, what spends what, and that everybody counts on the same ones."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import storage_from_string
from sqlalchemy import select, update

from newsletter_svc import audit
from newsletter_svc.alerts import Alert
from newsletter_svc.audit import Event, SecurityEvent
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.limits import buckets, counters
from newsletter_svc.limits.counters import Counter, SessionStorage
from newsletter_svc.limits.limiter import CodesLocked, Limits, PeerOverLimit, ServiceOverLimit
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring
from tests.conftest import KEY
from tests.factories import make_reader

KEYRING = Keyring([KEY], environment="development")
ADA, PEER = "ada@example.org", "192.0.2.7"


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """The limits that readers meet."""
    return replace(
        settings,
        limit_per_address=Settings.limit_per_address,
        limit_per_ip=Settings.limit_per_ip,
        limit_global=Settings.limit_global,
        limit_wrong_codes=Settings.limit_wrong_codes,
    )


def limits_of(settings: Settings, database: Database) -> Limits:
    return Limits(settings, database=database, keyring=KEYRING)


@pytest.fixture
def limits(strict: Settings, database: Database) -> Limits:
    return limits_of(strict, database)


def pass_time(database: Database, seconds: int) -> None:
    """Let the open windows be this much older."""
    with database.transaction() as session:
        for counter in session.scalars(select(Counter)):
            counter.expires_at -= timedelta(seconds=seconds)


def ask(limits: Limits, address: str = ADA, *, peer: str = PEER, purpose: str = "signin") -> bool:
    with limits.counting() as session:
        return limits.may_send(session, address, peer=peer, purpose=purpose)


def trap(limits: Limits) -> None:
    with limits.counting() as session:
        limits.count_trapped(session, peer=PEER)


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("Ada@Example.org", "ada@example.org"),
        ("a.d.a@example.org", "ada@example.org"),
        ("ada+news@example.org", "ada@example.org"),
        ("A.da+x+y@Googlemail.com", "ada@gmail.com"),
        ("+tag@example.org", "+tag@example.org"),
        ("...@example.org", "...@example.org"),
    ],
)
def test_spellings_of_one_mailbox_count_together(address: str, counted_as: str) -> None:
    assert buckets.folded(address) == counted_as


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_whoever_has_one_ipv6_address_is_counted_with_its_whole_64(peer: str, network: str) -> None:
    assert buckets.network(peer) == network


@given(st.text(), st.text())
def test_no_key_of_a_counter_shows_what_it_counts(scope: str, value: str) -> None:
    key = buckets.key(KEYRING, scope, value)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")


def test_a_second_mail_of_the_same_purpose_waits_a_minute(limits: Limits, database: Database) -> None:
    assert ask(limits)
    assert not ask(limits)
    assert ask(limits, purpose="subscribe")

    pass_time(database, 61)

    assert ask(limits)


def test_clicking_twice_in_a_minute_does_not_use_up_the_hour(limits: Limits, database: Database) -> None:
    for _ in range(5):
        assert [ask(limits) for _ in range(3)] == [True, False, False]
        pass_time(database, 61)

    assert not ask(limits)


def test_the_hour_counts_all_purposes_and_spellings_together(limits: Limits, database: Database) -> None:
    for spelling in ("ada@gmail.com", "a.da@gmail.com", "ADA@gmail.com", "ada+1@gmail.com", "ada@googlemail.com"):
        assert ask(limits, spelling)
        pass_time(database, 61)

    assert not ask(limits, "ada@gmail.com", purpose="subscribe")

    pass_time(database, 3600)
    assert ask(limits, "ada@gmail.com")


def test_who_is_over_the_limit_of_an_ip_spends_no_mail_of_the_reader(limits: Limits) -> None:
    for number in range(20):
        assert ask(limits, f"reader{number}@example.org")

    for _ in range(10):
        with pytest.raises(PeerOverLimit) as caught:
            ask(limits)
    assert 3590 < caught.value.retry_after <= 3600

    assert ask(limits, peer="192.0.2.8")


def test_a_full_house_spends_no_mail_of_the_reader_and_raises_an_alert(strict: Settings, database: Database) -> None:
    limits = limits_of(replace(strict, limit_global="3/hour"), database)
    for number in range(3):
        assert ask(limits, f"reader{number}@example.org", peer=f"192.0.2.{number}")

    for _ in range(4):
        with pytest.raises(ServiceOverLimit):
            ask(limits)
    with database.reading() as session:
        alert = session.get_one(Alert, "global_limit")
        lines = session.scalars(select(SecurityEvent).where(SecurityEvent.event == Event.LIMITED)).all()
    assert alert.count == 4
    assert [line.reason for line in lines] == ["global"], "one line for a window, whatever a flood brings"

    pass_time(database, 3600)
    assert ask(limits)


def test_a_trapped_program_is_counted_for_its_ip_alone(limits: Limits) -> None:
    for _ in range(20):
        trap(limits)

    with pytest.raises(PeerOverLimit):
        trap(limits)
    with pytest.raises(PeerOverLimit):
        ask(limits)


def test_a_thousand_ips_get_five_mails_for_one_address(limits: Limits, database: Database) -> None:
    passed = 0
    for number in range(1_000):
        passed += ask(limits, peer=f"198.51.{number // 250}.{number % 250}", purpose=f"door {number}")
    assert passed == 5


def test_hits_that_come_at_once_are_all_counted(strict: Settings, database: Database) -> None:
    limits = limits_of(replace(strict, limit_per_address="7/hour"), database)
    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(lambda number: ask(limits, peer=f"192.0.2.{number}"), range(60)))
    assert sum(passed) == 7


@pytest.fixture
def readers(database: Database) -> tuple[int, int]:
    """The ids of two subscribers."""
    with database.transaction() as session:
        ada, bob = (make_reader(session, email, now=utcnow()).id for email in (ADA, "bob@example.org"))
    return ada, bob


def test_ten_wrong_codes_lock_the_codes_of_an_address(
    limits: Limits, database: Database, readers: tuple[int, int]
) -> None:
    ada, bob = readers
    for _ in range(10):
        limits.count_code(ada)
    for _ in range(2):
        with pytest.raises(CodesLocked):
            limits.count_code(ada)
    limits.count_code(bob)

    with database.reading() as session:
        assert [(line.event, line.reason) for line in audit.trail(session, ada)] == [(Event.LIMITED, "codes")]


def test_the_lock_of_an_hour_opens_and_that_of_a_day_stays(
    limits: Limits, database: Database, readers: tuple[int, int]
) -> None:
    ada, _ = readers
    for _ in range(10):
        limits.count_code(ada)
    pass_time(database, 3600)
    for _ in range(10):
        limits.count_code(ada)
    pass_time(database, 3600)

    with pytest.raises(CodesLocked) as caught:
        limits.count_code(ada)
    assert caught.value.retry_after > 20 * 3600


def test_right_codes_do_not_lock(limits: Limits, readers: tuple[int, int]) -> None:
    for _ in range(50):
        limits.count_code(readers[0])
        limits.forgive_code(readers[0])


def test_counters_hold_neither_addresses_nor_ips(limits: Limits, database: Database) -> None:
    ask(limits)
    with database.reading() as session:
        keys = session.scalars(select(Counter.key)).all()
    assert len(keys) == 4
    assert not [key for key in keys if "ada" in key or "192" in key]


def test_all_that_is_counted_at_once_is_stored_alike(database: Database) -> None:
    with database.transaction() as session:
        assert counters.hit(session, {"ada": 60, "bob": 60, "cleo": 60}) == {"ada": 1, "bob": 1, "cleo": 1}
        stored = session.connection().exec_driver_sql("SELECT DISTINCT expires_at FROM rate_counters")
        assert len(stored.all()) == 1


def test_a_window_whose_only_hit_was_taken_back_begins_with_the_next_one(database: Database) -> None:
    with database.transaction() as session:
        counters.hit(session, {"hour": 60})
        counters.take_back(session, ["hour"])
        assert counters.hit(session, {"hour": 3600}) == {"hour": 1}
        assert SessionStorage(session).get_expiry("hour") == pytest.approx(utcnow().timestamp() + 3600, abs=5)


def test_purging_takes_closed_windows_only(limits: Limits, database: Database) -> None:
    ask(limits)
    pass_time(database, 61)

    with database.transaction() as session:
        assert counters.purge(session, now=utcnow()) == 1
        assert len(session.scalars(select(Counter)).all()) == 3


@pytest.fixture(params=["database", "memory"])
def storage(request: pytest.FixtureRequest, database: Database) -> Iterator[object]:
    if request.param == "memory":
        yield storage_from_string("memory://")
        return
    with database.transaction() as session:
        yield SessionStorage(session)


def test_our_storage_keeps_the_word_of_the_librarys_own(storage: SessionStorage) -> None:
    assert storage.check()
    assert storage.get("key") == 0
    assert storage.get_expiry("key") == pytest.approx(utcnow().timestamp(), abs=5)

    assert [storage.incr("key", 60), storage.incr("key", 60, 3), storage.incr("key", 60, -1)] == [1, 4, 3]
    assert storage.get("key") == 3
    assert storage.get_expiry("key") == pytest.approx(utcnow().timestamp() + 60, abs=5)

    storage.clear("key")
    assert storage.get("key") == 0
    storage.incr("other", 60)
    assert storage.reset() == 1


def test_a_closed_window_is_empty_and_the_next_hit_opens_a_new_one(database: Database) -> None:
    with database.transaction() as session:
        SessionStorage(session).incr("key", 60, 5)
        session.execute(update(Counter).values(expires_at=utcnow() - timedelta(seconds=1)))
        assert SessionStorage(session).get("key") == 0
        assert SessionStorage(session).incr("key", 60) == 1
