"""Several ways to do the same thing, measured in turn, so that what else the machine does falls on all of them."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """One way; `measure` runs it once and returns how many it did a second, None where it cannot run here."""

    name: str
    measure: Callable[[], float | None]


@dataclass(frozen=True)
class Speeds:
    """What the rounds of one way gave."""

    rates: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    @property
    def span(self) -> str:
        return f"{min(self.rates):,.0f}-{max(self.rates):,.0f}"


def in_turn(ways: Sequence[Way], *, rounds: int) -> Mapping[str, Speeds]:
    """Each way once, then each of them again, so many rounds; those that cannot run here are left out."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            print(f"  round {number + 1} of {rounds}: {way.name}", file=sys.stderr, flush=True)
            found = way.measure()
            if found is not None:
                rates[way.name].append(found)
    return {name: Speeds(each) for name, each in rates.items() if each}
