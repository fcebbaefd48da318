"""How estimates are weighed, from numbers made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from toolbox import normal
from wgan.measure.moves import _summed_up, root_with_error, transported
from wgan.measure.sides import Arrays
from wgan.measure.verdict import Opinion, between, combine
from wgan.schedule import Budget


def test_the_estimate_is_never_below_the_bound() -> None:
    assert combine(Opinion(0.3, 0.01, 0.03), Opinion(0.3, 0.01, 0.03), 1.0, 0.8, 5.0, 0.0).wasserstein == 0.8


def test_the_margin_has_twice_what_was_taken_from_the_most() -> None:
    assert between(1.0, 3.0, 0.75) == pytest.approx((2.5, 0.25 + 2 * 0.5))


def test_the_error_of_a_negative_square_is_carried_from_0() -> None:
    assert root_with_error(-4.0, 1.0) == (-2.0, pytest.approx(1.0))
    assert root_with_error(4.0, 1.0) == (2.0, pytest.approx((math.sqrt(5) - math.sqrt(3)) / 2))


@pytest.mark.parametrize(
    ("margin", "interval"),
    [
        (0.21, (1.58, 2.42)),
        (0.2200001, (1.56, 2.44)),  # nothing jumps where it begins to widen
        (0.275, (0.5 * 1.45, 2.55 + 0.5 * (9.0 - 2.55))),
        (0.33, (0.5, 9.0)),
        (0.9, (0.5, 9.0)),
    ],
)
def test_an_interval_of_22_percent_to_each_side_widens_to_all_that_is_left(
    margin: float, interval: tuple[float, float]
) -> None:
    verdict = combine(Opinion(2.0, 0.0, 2 * margin), Opinion(2.0, 0.0, 2 * margin), 1.0, 0.5, 9.0, 0.0)
    assert verdict.conclusive == (margin < 0.22)
    assert verdict.interval == pytest.approx(interval, rel=1e-5)


def test_the_standard_error_has_what_the_estimates_disagree_by() -> None:
    agreed = combine(Opinion(2.0, 0.03, 0.0), Opinion(2.0, 0.03, 0.0), 0.0, 0.5, 9.0, 0.0)
    assert agreed.error == pytest.approx(0.03)
    apart = combine(Opinion(2.1, 0.03, 0.0), Opinion(2.02, 0.03, 0.0), 0.0, 0.5, 9.0, 0.0)
    assert apart.wasserstein == pytest.approx(2.06) and apart.error == pytest.approx(0.05)


def test_estimates_that_the_bound_refutes_cannot_tell_and_leave_the_error_alone() -> None:
    below = Opinion(1.0, 0.02, 0.05), Opinion(1.0, 0.05, 0.05)
    verdict = combine(*below, 0.1, 1.5, 3.0, 0.0)
    assert verdict.wasserstein == 1.5 and verdict.error < 0.05 and not verdict.conclusive
    assert verdict.interval[0] == 1.5 and verdict.interval[1] > 2.1
    for bound in (-5.0, 0.0):
        found = combine(Opinion(-0.2, 0.05, 0.0), Opinion(-0.4, 0.05, 0.0), 1.0, bound, 2.0, 0.0)
        assert (found.wasserstein, found.interval) == (0.0, (0.0, 2.0)) and found.error == pytest.approx(0.05)


def test_half_an_interval_is_the_sum_of_all_that_an_estimate_may_be_off_by() -> None:
    critic, transport, noise = Opinion(2.1, 0.05, 0.0), Opinion(1.9, 0.05, 0.0, ninety=2.353), 0.5
    missed = noise * 0.2
    weights = np.array([1 / 0.05**2, 1 / (0.05**2 + missed**2)])
    shares = weights / weights.sum()
    value = shares @ [2.1, 1.9]
    apart = math.sqrt(shares @ (np.array([2.1, 1.9]) - value) ** 2)
    half = 0.05 * (shares @ [1.645, 2.353]) + apart + missed * shares[1] + missed + noise * (2.6 - value)
    verdict = combine(critic, transport, noise, 0.1, 9.0, 2.6)
    assert verdict.wasserstein == pytest.approx(value) and verdict.error == pytest.approx(math.hypot(0.05, apart))
    assert not verdict.conclusive and 0.22 * value < half < 0.33 * value
    doubt = 2 * (half / (0.22 * value) - 1)
    low, high = (1 - doubt) * (value - half), (1 - doubt) * (value + half) + doubt * 9.0
    assert verdict.interval == pytest.approx((low, high))
    less = combine(replace(critic, error=0.02), replace(transport, error=0.02), 0.1, 0.1, 9.0, 0.0)
    assert less.conclusive
    weights = np.array([1 / 0.02**2, 1 / (0.02**2 + 0.02**2)])
    shares = weights / weights.sum()
    value = shares @ [2.1, 1.9]
    apart = math.sqrt(shares @ (np.array([2.1, 1.9]) - value) ** 2)
    half = 0.02 * (shares @ [1.645, 2.353]) + apart + 0.02 * shares[1] + 0.02
    assert less.interval == pytest.approx((value - half, value + half))


def test_what_cannot_be_told_may_be_more_than_transport_costs() -> None:
    verdict = combine(Opinion(1.0, 0.0, 0.5), Opinion(1.0, 0.0, 0.5), 1.0, 0.2, 1.2, 0.0)
    assert not verdict.conclusive and verdict.interval == pytest.approx((0.2, 1.5))


def test_what_is_left_of_a_set_and_itself_by_rounding_is_nothing() -> None:
    assert combine(Opinion(1e-14, 0.0, 0.0), Opinion(1e-14, 0.0, 0.0), 1.0, 0.0, 1.0, 0.0).wasserstein == 0.0
    verdict = combine(Opinion(0.0, 0.0, 1e-298), Opinion(0.0, 0.0, 1e-298), 1.0, 0.0, 1.0, 0.0)
    assert verdict.interval == (0.0, 0.0) and verdict.conclusive
    assert combine(Opinion(1e-9, 0.0, 0.0), Opinion(1e-9, 0.0, 0.0), 1.0, 0.0, 1.0, 0.0).wasserstein == pytest.approx(
        1e-9
    )


@pytest.mark.parametrize("evenness", [1.0, math.sqrt(0.5)])
def test_moves_are_summed_up_by_their_formulas(evenness: float) -> None:
    """Parts that all moved alike, or of which one half did not move."""
    costs = np.array([[across, 3.0, 3.0] for across in (5.0, 5.1, 5.2, 5.3)])
    square = costs[:, 0] ** 2 - 9
    alike = np.ones(8) if evenness == 1 else np.array([2.0, 0.0] * 4)
    moments = np.array([4.0, 5.0, 6.0, 8.0])
    found = _summed_up(costs, square[:, None, None] * np.stack([alike, alike]), moments)
    mean, error, ninety = square.mean(), square.std(ddof=1) / 2, stats.t.ppf(0.95, 3)
    most = math.sqrt(mean)
    demanded = moments.mean() - ninety * moments.std(ddof=1) / 2
    assert found.evenness == pytest.approx(evenness)
    assert found.distance.value == pytest.approx(evenness * most * (2 - evenness))
    assert found.distance.error == pytest.approx((math.sqrt(mean + error) - math.sqrt(mean - error)) / 2)
    assert found.distance.ninety == pytest.approx(ninety)
    assert found.moments == pytest.approx(evenness * math.sqrt(demanded))
    assert (found.noise, found.cost) == pytest.approx((3 / 5.15, 5.15))


def test_what_transport_says_has_the_samples_scale() -> None:
    x, y = normal(400, 3), 2 * normal(400, 3, 1) + 1
    small, large = (transported(Arrays(k * x, k * y, 0), Budget(10), lambda share: None) for k in (1.0, 64.0))
    for name in ("cost", "moments"):  # roughly, for the content of samples chooses the halves
        one, other = getattr(small, name), getattr(large, name)
        assert one > 0 and other == pytest.approx(64 * one, rel=0.3)
