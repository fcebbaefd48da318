"""Two things measured side by side: in turns, so that what slows the machine down slows both."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """A median and how far the rounds are apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of some numbers."""
        return cls(median(values), min(values), max(values))

    def show(self, digits: int = 2) -> str:
        """As ``2.31 (2.20..2.40)``."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}..{self.most:.{digits}f})"


def in_turns(sides: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """What each side measures in each round, A B A B ...; a list for each side."""
    columns = zip(*([side() for side in sides] for _ in range(rounds)), strict=True)
    return [list(column) for column in columns]


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """The ratios of the rounds."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def seconds_each(work: Callable[[], Any], times: int) -> float:
    """Seconds of one call, over several."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times
