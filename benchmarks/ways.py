"""Several ways to do the same thing, measured in turn, so that what else the machine does falls on all of them."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from benchmarks.machine import Cost


class Speed(NamedTuple):
    """Mails a second, and what one costs in microseconds of a processor."""

    per_second: float
    cpu_micros: float

    @classmethod
    def of(cls, count: int, cost: Cost) -> Self:
        return cls(count / cost.seconds, 1e6 * cost.cpu_seconds / count)


@dataclass(frozen=True)
class Way:
    """One way; `measure` runs it once, and returns None where it cannot run here."""

    name: str
    measure: Callable[[], Speed | None]


@dataclass(frozen=True)
class Speeds:
    """What the rounds of one way gave."""

    rounds: Sequence[Speed]

    @property
    def median(self) -> float:
        """Mails a second."""
        return statistics.median(each.per_second for each in self.rounds)

    @property
    def span(self) -> str:
        rates = [each.per_second for each in self.rounds]
        return f"{min(rates):,.0f}-{max(rates):,.0f}"

    @property
    def cpu_micros(self) -> float:
        return statistics.median(each.cpu_micros for each in self.rounds)


def in_turn(ways: Sequence[Way], *, rounds: int) -> Mapping[str, Speeds]:
    """Each way once, then each of them again, so many rounds; those that cannot run here are left out."""
    speeds: dict[str, list[Speed]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            print(f"  round {number + 1} of {rounds}: {way.name}", file=sys.stderr, flush=True)
            found = way.measure()
            if found is not None:
                speeds[way.name].append(found)
    return {name: Speeds(each) for name, each in speeds.items() if each}
