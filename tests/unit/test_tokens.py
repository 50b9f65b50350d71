"""Tokens: what comes back, and all that is refused."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.tokens import BadToken, Keyring, Purpose, fingerprint, key_id

OLD, NEW, FOREIGN = (f"a {age} key that is long enough to sign with" for age in ("old", "new", "foreign"))
RING = Keyring([NEW, OLD], environment="production")

payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
purposes = st.sampled_from(Purpose)


def is_refused(token: str, *, purpose: Purpose = Purpose.MAGIC_LINK, ring: Keyring = RING) -> bool:
    """Whether reading says BadToken; anything else that it raises fails the test."""
    try:
        ring.read(purpose, token)
    except BadToken:
        return True
    return False


@given(purpose=purposes, payload=payloads)
def test_any_payload_comes_back(purpose: Purpose, payload: Any) -> None:
    token = RING.issue(purpose, payload)
    if len(token) <= 2_000:
        assert RING.read(purpose, token) == payload


@given(payload=payloads)
def test_a_token_is_fit_for_an_address_as_it_is(payload: Any) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert set(RING.issue(Purpose.MAGIC_LINK, payload)) <= allowed


@given(issued=purposes, read=purposes, payload=payloads)
def test_a_token_opens_no_door_but_its_own(issued: Purpose, read: Purpose, payload: Any) -> None:
    token = RING.issue(issued, payload)
    assert is_refused(token, purpose=read) == (issued != read or len(token) > 2_000)


@given(payload=payloads)
def test_a_token_of_another_environment_is_refused(payload: Any) -> None:
    elsewhere = Keyring([NEW, OLD], environment="development")
    assert is_refused(elsewhere.issue(Purpose.MAGIC_LINK, payload))


@given(payload=payloads)
def test_a_token_of_the_previous_key_is_good_until_that_key_is_retired(payload: Any) -> None:
    before = Keyring([OLD], environment="production").issue(Purpose.UNSUBSCRIBE, payload)
    assert is_refused(before, purpose=Purpose.UNSUBSCRIBE) == (len(before) > 2_000)
    assert is_refused(before, purpose=Purpose.UNSUBSCRIBE, ring=Keyring([NEW], environment="production"))


def test_the_newest_key_signs() -> None:
    token = RING.issue(Purpose.MAGIC_LINK, "x")
    assert Keyring([NEW], environment="production").read(Purpose.MAGIC_LINK, token) == "x"
    assert is_refused(token, ring=Keyring([OLD], environment="production"))


@given(payload=payloads)
def test_a_token_of_a_foreign_key_is_refused(payload: Any) -> None:
    assert is_refused(Keyring([FOREIGN], environment="production").issue(Purpose.MAGIC_LINK, payload))


@given(data=st.data())
def test_a_flipped_bit_never_changes_what_a_token_says(data: st.DataObject) -> None:
    payload = ["5sdLmS5mvRvUu8yVDWf0eG2YXr8", "signin", 1795500000]
    token = RING.issue(Purpose.MAGIC_LINK, payload).encode()
    at = data.draw(st.integers(0, len(token) * 8 - 1))
    flipped = bytearray(token)
    flipped[at // 8] ^= 1 << at % 8
    text = flipped.decode("latin-1")
    # The last letter of a signature has spare bits, so a flip there is another spelling of the same token.
    assert is_refused(text) or (at // 8 == len(token) - 1 and RING.read(Purpose.MAGIC_LINK, text) == payload)


@given(data=st.data())
def test_a_token_that_was_cut_short_is_refused(data: st.DataObject) -> None:
    token = RING.issue(Purpose.MAGIC_LINK, ["5sdLmS5mvRvUu8yVDWf0eG2YXr8", "signin"])
    assert is_refused(token[: data.draw(st.integers(0, len(token) - 1))])


@given(text=st.text())
def test_no_text_at_all_makes_reading_fail_in_another_way(text: str) -> None:
    assert is_refused(text)


@given(text=st.text(alphabet="abcdefghABCDEFGH0123456789-_.=", max_size=300))
def test_nothing_that_looks_like_a_token_passes_for_one(text: str) -> None:
    assert is_refused(text)


@pytest.mark.parametrize("token", ["", ".", "..", "ü" * 40, "\ud800", "a.b\0", "x" * 1_000_000, "." * 1_000_000])
def test_odd_and_huge_input_is_refused(token: str) -> None:
    assert is_refused(token)


def test_a_megabyte_is_refused_even_with_a_good_signature() -> None:
    assert is_refused(RING.issue(Purpose.MAGIC_LINK, random.Random(1).randbytes(500_000).hex()))


def test_a_signed_payload_that_is_no_json_is_refused() -> None:
    serializer = RING._serializer(Purpose.MAGIC_LINK)
    for body in (b"bm90IGpzb24", b"_____", b".eJw", b"."):
        assert is_refused(serializer.make_signer(serializer.salt).sign(body).decode())


def test_what_a_stranger_is_told_is_always_the_same() -> None:
    told = set()
    for token in ("", "x.y", "ü", RING.issue(Purpose.UNSUBSCRIBE, 1)):
        with pytest.raises(BadToken) as caught:
            RING.read(Purpose.MAGIC_LINK, token)
        told.add(str(caught.value))
        assert caught.value.private_reason not in str(caught.value)
    assert told == {"the token is not valid"}


@given(parts=st.lists(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")), max_size=4))
def test_a_derived_secret_is_the_same_at_every_call_and_another_for_every_key(parts: list[str]) -> None:
    new, old = (RING.derive(name, *parts) for name in RING.all)
    assert new == Keyring([NEW], environment="production").derive(key_id(NEW), *parts)
    assert len({new, old, Keyring([NEW], environment="development").derive(key_id(NEW), *parts)}) == 3


def test_the_parts_of_a_derived_secret_do_not_run_into_each_other() -> None:
    assert RING.derive(RING.newest, "nonce", "ab") != RING.derive(RING.newest, "nonc", "eab")


def test_nothing_is_derived_from_a_retired_key() -> None:
    with pytest.raises(BadToken):
        RING.derive(key_id(FOREIGN), "nonce", "1")


def test_a_key_is_named_without_being_told() -> None:
    assert RING.newest == key_id(NEW)
    assert RING.all == (key_id(NEW), key_id(OLD))
    assert NEW not in json.dumps(RING.all)
    assert key_id(NEW) not in fingerprint(NEW)


@given(numbers=st.lists(st.integers(min_value=0, max_value=2**63), max_size=3))
def test_a_stamp_makes_the_tokens_that_issuing_makes(numbers: list[int]) -> None:
    token = RING.stamp(Purpose.UNSUBSCRIBE)(numbers)
    assert RING.read(Purpose.UNSUBSCRIBE, token) == numbers
    issued = RING.issue(Purpose.UNSUBSCRIBE, numbers)
    # What is long and repeats itself is compressed when it is issued; a stamp leaves that out.
    assert token == issued or issued.startswith(".")
    with pytest.raises(BadToken):
        RING.read(Purpose.MAGIC_LINK, token)
