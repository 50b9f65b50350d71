"""Piles: every message is taken once, by its owner or by whoever takes over the rest."""

import threading
from concurrent.futures import ThreadPoolExecutor

from newsletter_svc.delivery.piles import Pile, Piles


def test_each_item_is_taken_by_its_owner_or_with_the_rest_and_by_nobody_else() -> None:
    for _ in range(50):
        pile, start = Pile(range(100)), threading.Barrier(3)

        def own(pile: Pile[int] = pile, start: threading.Barrier = start) -> list[int]:
            start.wait(10)
            return list(pile)

        def take_over(pile: Pile[int] = pile, start: threading.Barrier = start) -> list[int]:
            start.wait(10)
            return pile.rest()

        with ThreadPoolExecutor(3) as pool:
            taken = [pool.submit(work) for work in (own, take_over, take_over)]
        assert sorted(item for each in taken for item in each.result()) == list(range(100))


def test_a_pile_is_stuck_only_while_its_owner_is_at_one_item_and_others_wait() -> None:
    piles: Piles[str] = Piles()
    with piles.at(["ada", "bob"]) as pile:
        items = iter(pile)
        assert next(items) == "ada"
        assert piles.stuck(0) == [pile]
        assert piles.stuck(3600) == []
        assert next(items) == "bob"
        assert piles.stuck(0) == []
    assert piles.stuck(0) == []


def test_what_could_not_be_given_away_is_its_owners_again() -> None:
    pile = Pile(["ada", "bob", "cleo"])
    items = iter(pile)
    assert next(items) == "ada"
    pile.put_back(pile.rest())
    assert list(items) == ["bob", "cleo"]
