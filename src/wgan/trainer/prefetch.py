"""An iterator whose next item can be made before it is asked for, while something else has to be waited for."""

from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Gives the items of another iterator, in its order.

    Args:
        items: Where they come from.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._made: list[T] = []

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._made.pop() if self._made else next(self._items)

    def prepare(self) -> None:
        """Make the next item now, if there is one and it is not made yet."""
        if not self._made:
            self._made = list(islice(self._items, 1))
