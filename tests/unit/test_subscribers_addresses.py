"""Addresses: what a mail can go to, and when two are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.addresses import BadAddress


@given(
    st.one_of(st.text(), st.emails(), st.emails().map(lambda email: email + ","), st.text("aA@.=?é\n<> ", max_size=12))
)
def test_what_is_taken_can_be_written_to_and_stays_what_it_is(raw: str) -> None:
    try:
        address = addresses.parse(raw)
    except BadAddress:
        return
    assert wire_address(address.text) == address.text
    assert address.text.isascii()
    assert address.text.count("@") == 1
    assert address.key == address.text.lower()
    assert addresses.parse(address.text) == address
    assert addresses.parse(address.text.upper()).key == address.key


@pytest.mark.parametrize(
    ("raw", "text", "key"),
    [
        ("ada@example.org", "ada@example.org", "ada@example.org"),
        ("  Ada.L@Example.ORG ", "Ada.L@example.org", "ada.l@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada+news@example.org", "ada+news@example.org", "ada+news@example.org"),
    ],
)
def test_an_address_is_kept_as_typed_and_known_by_its_key(raw: str, text: str, key: str) -> None:
    assert addresses.parse(raw) == addresses.Address(text, key)


@pytest.mark.parametrize(
    "raw",
    [
        "a" * 65 + "@example.org",
        "\u212aate@example.org",
        "d\u0131na@example.org",
        '"ada"@example.org',
        "a@x.org,b@x.org",
    ],
)
def test_what_could_be_mistaken_for_another_or_for_two_is_refused(raw: str) -> None:
    with pytest.raises(BadAddress):
        addresses.parse(raw)


@pytest.mark.parametrize(
    ("address", "masked"),
    [("reader@example.org", "r•••@example.org"), ("r@example.org", "r•••@example.org"), ("@x.org", "•••@x.org")],
)
def test_a_mask_shows_no_more_than_the_first_letter(address: str, masked: str) -> None:
    assert addresses.mask(address) == masked
