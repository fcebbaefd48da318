"""An iterator whose next item can be made early."""

from collections.abc import Iterator

from wgan.trainer.prefetch import Prefetch


def counting(made: list[int], most: int) -> Iterator[int]:
    for number in range(most):
        made.append(number)
        yield number


def test_items_come_in_their_order_and_are_made_once_when_asked_for_or_prepared() -> None:
    made: list[int] = []
    items = Prefetch(counting(made, 4))
    assert next(items) == 0
    items.prepare()
    items.prepare()
    assert made == [0, 1]
    assert next(items) == 1
    assert made == [0, 1]
    assert list(items) == [2, 3]


def test_preparing_beyond_the_end_is_no_fault() -> None:
    items = Prefetch(iter([5]))
    assert next(items) == 5
    items.prepare()
    assert list(items) == []
