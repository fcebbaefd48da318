"""How estimates are weighed, from numbers made by hand."""

import math

import pytest

from wgan.measure.moves import root_with_error
from wgan.measure.verdict import Guess, between, combine


def test_the_estimate_is_never_below_the_bound() -> None:

    assert combine(Guess(0.3, 0.01, 0.03), Guess(0.3, 0.01, 0.03), 1.0, 0.8, 5.0, 0.0).wasserstein == 0.8


def test_the_margin_has_twice_what_was_taken_from_the_most() -> None:

    assert between(1.0, 3.0, 0.75) == pytest.approx((2.5, 0.25 + 2 * 0.5))


def test_the_error_of_a_negative_square_is_carried_from_0() -> None:

    assert root_with_error(-4.0, 1.0) == (-2.0, pytest.approx(1.0))
    assert root_with_error(4.0, 1.0) == (2.0, pytest.approx((math.sqrt(5) - math.sqrt(3)) / 2))
