"""A source of pictures: so many items, each with a header and pixels."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wgan.data.images import Header, Target, Unreadable

T = TypeVar("T")

CHUNK = 8


class Read(NamedTuple):
    """One picture that was read: its header, uint8 (H, W, C) pixels, and class."""

    header: Header
    pixels: NDArray[np.uint8]
    label: str | None


class Source(ABC):
    """Pictures that are read once, but perhaps looked at before.

    Attributes:
        name: The data set's name.
        place: Where it is, for the report.
        workers: Threads that may read at once.
        skipped: (name, reason) of what is known to be unusable before anything is read.
        classes: The classes' order where it is known; else they are sorted.
    """

    name: str
    place: str
    workers: int = 1
    skipped: Sequence[tuple[str, str]] = ()
    classes: Sequence[str] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many items there are, broken ones included."""

    @abstractmethod
    def title(self, number: int) -> str:
        """What an item is called in messages."""

    @abstractmethod
    def read(self, number: int, target: Target) -> Read:
        """Read an item in the target's shape.

        Raises:
            Unreadable: It must be skipped.
        """

    @abstractmethod
    def headers(self) -> Iterator[Header | Unreadable]:
        """The headers of all items; of some where reading all would take long, and of one where all are alike."""

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The values that become black and white, where they are not bytes; found when first asked for."""
        return None

    @property
    def range_found(self) -> bool:
        """Whether the value range was seen in the values, not given or said by their type."""
        return False

    @property
    def notes(self) -> Sequence[str]:
        """What is worth telling about the source."""
        return ()

    def fingerprint(self) -> str | None:
        """What tells the source's content apart without reading it; None if it lives in memory only."""
        return None

    def ready(self, target: Target) -> NDArray[np.uint8] | None:
        """All pixels, uint8 (N, H, W, C), if they are in memory in the target's shape already."""
        return None


def in_order(function: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    """``map(function, range(count))`` on threads, with few results waiting at any time."""
    if workers == 1:
        yield from map(function, range(count))
        return

    def run(start: int) -> list[T]:
        return [function(number) for number in range(start, min(start + CHUNK, count))]

    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[list[T]]] = deque()
    try:
        for start in range(0, count, CHUNK):
            waiting.append(pool.submit(run, start))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
