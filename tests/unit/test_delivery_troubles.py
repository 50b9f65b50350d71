"""When a mailing goes wrong by our own fault, and when it does not."""

import pytest

from newsletter_svc.delivery.troubles import Troubles
from newsletter_svc.mail.replies import Reply

TOO_LARGE = Reply(552, "5.3.4", "message too big")
POLICY = Reply(550, "5.7.1", "listed as spam")
FULL = Reply(552, "5.2.2", "mailbox full")
NOBODY = Reply(550, "5.1.1", "no such user")


def test_three_refusals_in_a_row_for_its_size_stop_a_mailing() -> None:
    troubles = Troubles()
    assert [troubles.refused(1, TOO_LARGE) for _ in range(3)] == [None, None, "552 5.3.4 message too big"]


def test_a_bare_552_speaks_of_the_size_too() -> None:
    troubles = Troubles()
    assert [bool(troubles.refused(1, Reply(552, None, "too big"))) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("between", [FULL, NOBODY])
def test_another_refusal_in_between_breaks_the_row(between: Reply) -> None:
    troubles = Troubles()
    for _ in range(5):
        assert troubles.refused(1, TOO_LARGE) is None
        assert troubles.refused(1, TOO_LARGE) is None
        assert troubles.refused(1, between) is None


def test_what_is_accepted_in_between_breaks_the_row() -> None:
    troubles = Troubles()
    for _ in range(5):
        assert troubles.refused(1, TOO_LARGE) is None
        assert troubles.refused(1, TOO_LARGE) is None
        troubles.accepted(1)


def test_twenty_refusals_of_us_in_a_row_stop_a_mailing() -> None:
    troubles = Troubles()
    for _ in range(10_000):
        troubles.accepted(1)
    assert [bool(troubles.refused(1, POLICY)) for _ in range(20)] == [False] * 19 + [True]


def test_one_refusal_of_us_in_twenty_stops_a_mailing_once_they_are_many() -> None:
    troubles = Troubles()
    stopped = []
    for _ in range(20):
        for _ in range(19):
            troubles.accepted(1)
        stopped.append(bool(troubles.refused(1, POLICY)))
    assert stopped == [False] * 19 + [True]


def test_fewer_refusals_of_us_are_the_readers_servers_own_affair() -> None:
    troubles = Troubles()
    for _ in range(100):
        for _ in range(25):
            troubles.accepted(1)
        assert troubles.refused(1, POLICY) is None


def test_mailings_do_not_count_for_each_other_and_begin_anew_once_stopped() -> None:
    troubles = Troubles()
    assert [bool(troubles.refused(number % 2, TOO_LARGE)) for number in range(4)] == [False] * 4
    assert troubles.refused(0, TOO_LARGE) is not None
    assert troubles.refused(0, TOO_LARGE) is None
    troubles.forget(1)
    assert troubles.refused(1, TOO_LARGE) is None
