"""Distances of histograms, against SciPy, POT, a linear program and what is known by hand."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import ot
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance

from wgan.distances.discrete import (
    cross_entropy,
    earth_mover,
    earth_mover_line,
    jensen_shannon,
    kullback_leibler,
    total_variation,
)
from wgan.errors import UsageError

Divergence = Callable[[ArrayLike, ArrayLike], float]
BY_POINT: list[Divergence] = [total_variation, kullback_leibler, jensen_shannon, cross_entropy]
ALL: list[Divergence] = [*BY_POINT, earth_mover_line]
POSITIVE = st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=1, max_size=12)


def pair(numbers: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, q = np.array(numbers).T
    return p / p.sum(), q / q.sum()


@given(POSITIVE)
def test_of_positive_probabilities(numbers: list[tuple[float, float]]) -> None:
    p, q = pair(numbers)
    at = np.arange(len(p))
    assert total_variation(p, q) == pytest.approx(1 - np.minimum(p, q).sum(), abs=1e-9)
    assert kullback_leibler(p, q) == pytest.approx(entropy(p, q), abs=1e-9)
    assert cross_entropy(p, q) == pytest.approx(entropy(p) + entropy(p, q), abs=1e-9)
    assert jensen_shannon(p, q) == pytest.approx((entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2, abs=1e-9)
    assert earth_mover_line(p, q) == pytest.approx(np.abs(np.cumsum(p - q)).sum(), abs=1e-9)
    assert earth_mover(p, q, np.abs(at[:, None] - at)) == pytest.approx(np.abs(np.cumsum(p - q)).sum(), abs=1e-9)


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
@example(1, 1, 6)  # a single cost of -2.6, which POT alone calls infeasible
def test_the_earth_mover_solves_the_linear_program(k: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q, cost = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(m)), rng.normal(size=(k, m))
    rows = np.kron(np.eye(k), np.ones(m))
    columns = np.kron(np.ones(k), np.eye(m))
    solved = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([p, q]))
    assert earth_mover(p, q, cost) == pytest.approx(solved.fun, abs=1e-6)


def test_the_line_with_positions_of_its_own() -> None:
    rng = np.random.default_rng(0)
    p, q, at_p, at_q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(9)), rng.normal(size=6), rng.normal(size=9)
    found = earth_mover_line(p, q, at_p, at_q)
    assert found == pytest.approx(wasserstein_distance(at_p, at_q, p, q), abs=1e-9)
    assert found == pytest.approx(ot.emd2(p, q, np.abs(at_p[:, None] - at_q)), abs=1e-9)
    assert earth_mover_line(p, p, at_p, at_p + 3) == pytest.approx(3)
    other = rng.dirichlet(np.ones(6))
    same = wasserstein_distance(at_p, at_p, p, other)  # one set of positions is that of both
    assert earth_mover_line(p, other, at_p) == earth_mover_line(p, other, None, at_p) == pytest.approx(same, abs=1e-9)


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (total_variation, 1.0),
        (kullback_leibler, math.inf),
        (cross_entropy, math.inf),
        (jensen_shannon, math.log(2)),
        (earth_mover_line, 2.0),
    ],
)
def test_of_disjoint_supports(distance: Divergence, expected: float) -> None:
    assert distance([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]) == pytest.approx(expected)


def test_empty_bins_count_for_nothing() -> None:
    p, q = [0.25, 0.75, 0, 0], [0.5, 0.25, 0.25, 0]
    assert kullback_leibler(p, q) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(3))
    assert kullback_leibler(q, p) == math.inf
    assert cross_entropy(p, q) == pytest.approx(0.25 * math.log(2) + 0.75 * math.log(4))
    assert cross_entropy([1, 0], [1, 0]) == 0
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2)
    assert jensen_shannon([5e-324, 1], [0, 1]) == pytest.approx(0)


@pytest.mark.parametrize("distance", ALL)
def test_float32_is_welcome(distance: Divergence) -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(1000)), rng.dirichlet(np.ones(1000))
    assert distance(p.astype(np.float32), q.astype(np.float32)) == pytest.approx(distance(p, q), rel=1e-4)


@pytest.mark.parametrize("distance", BY_POINT)
def test_the_points_may_be_those_of_a_grid_if_it_is_the_same(distance: Divergence) -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(64)), rng.dirichlet(np.ones(64))
    assert distance(p.reshape(8, 8), q.reshape(8, 8)) == distance(p, q)
    for shape in ((4, 16), (64, 1), (1, 64)):
        with pytest.raises(
            UsageError, match=r"^p has probabilities of shape \(8, 8\) and q has probabilities of shape"
        ):
            distance(p.reshape(8, 8), q.reshape(shape))
    with pytest.raises(
        UsageError, match=r"^p has 64 probabilities and q has probabilities of shape \(8, 8\); both must"
    ):
        distance(p, q.reshape(8, 8))


def test_a_grid_is_no_line_but_has_costs() -> None:
    """All mass moves one row down, by 1, which is 10 places further in the flat array."""
    p, q = np.zeros((10, 10)), np.zeros((10, 10))
    p[0] = q[1] = 0.1
    for pair, name in (((p, q), "p"), ((p.ravel(), q), "q")):
        with pytest.raises(UsageError, match=rf"^{name} has shape \(10, 10\), but points on a line .* earth_mover\(p"):
            earth_mover_line(*pair)
    at = np.argwhere(np.ones((10, 10)))
    assert earth_mover(p, q, np.linalg.norm(at[:, None] - at, axis=2)) == pytest.approx(1)


@pytest.mark.parametrize("distance", ALL)
@pytest.mark.parametrize(
    ("p", "q", "words"),
    [
        ([0.5, 0.6], [0.5, 0.5], "p sums to 1.1"),
        ([0.5, 0.5], [1.5, -0.5], "some numbers of q are negative"),
        ([math.nan, 1], [0.5, 0.5], "some numbers of p are NaN or infinite"),
        ([], [1.0], "p has no number above 0"),
        ([0, 0], [0.5, 0.5], "p has no number above 0"),
    ],
)
def test_what_is_no_distribution_is_refused(distance: Divergence, p: ArrayLike, q: ArrayLike, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        distance(p, q)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(UsageError, match="p has 2 probabilities and q has 1"):
        total_variation([0.5, 0.5], [1])
    with pytest.raises(UsageError, match=r"have shape \(1, 2\), but they must have shape \(2, 1\)"):
        earth_mover([0.5, 0.5], [1], [[1, 1]])
    with pytest.raises(UsageError, match="some costs are NaN or infinite"):
        earth_mover([0.5, 0.5], [1], [[1], [math.inf]])
    with pytest.raises(UsageError, match=r"the positions have shape \(2,\), but they must have \(1,\)"):
        earth_mover_line([0.5, 0.5], [1], None, [1, 2])
    with pytest.raises(UsageError, match=r"the positions have shape \(2, 2\), but they must have \(4,\)"):
        earth_mover_line([0.25] * 4, [0.25] * 4, [[0, 1], [2, 3]])


@pytest.mark.parametrize("scale", [1e-15, 1e-9, 1e9])
def test_the_earth_mover_s_distance_has_the_scale_of_its_costs(scale: float) -> None:
    draw = np.random.default_rng(0)
    p, q, cost = draw.dirichlet(np.ones(7)), draw.dirichlet(np.ones(5)), draw.random((7, 5))
    assert earth_mover(p, q, scale * cost) / scale == pytest.approx(earth_mover(p, q, cost), rel=1e-9)


@pytest.mark.parametrize("distance", ALL)
def test_tensors_of_all_kinds_are_welcome(distance: Divergence) -> None:
    p, q = torch.tensor([0.5, 0.5], requires_grad=True), torch.tensor([0.25, 0.75], dtype=torch.bfloat16)
    assert distance(p, q) == distance([0.5, 0.5], [0.25, 0.75])  # type: ignore[arg-type]


BAD: list[tuple[Any, str]] = [
    (["a", "b"], "are an array of <U1, but they must be an array"),
    ("half", "are a str, but they must be an array"),
    ([[0.5, 0.5], [1.0]], "have different lengths"),
    (np.array([0.5 + 1j, 0.5]), "are an array of complex128"),
    (np.ma.masked_array([0.5, 0.5], [True, False]), "have masked values"),
    (torch.tensor([0.5, 0.5]).to_sparse(), "cannot become an array: the tensor is sparse"),
    ([1e308, 1e308], r"have values up to 1e\+308, but at most 1e\+150 are allowed; divide them by a number"),
    ([torch.tensor(0.5, requires_grad=True)], r"cannot be read as numbers \(Can't call numpy.*; give an array"),
]


@pytest.mark.parametrize(("bad", "words"), BAD)
def test_what_is_no_array_of_real_numbers_is_refused(bad: Any, words: str) -> None:
    p = [0.5, 0.5]
    for distance in ALL:
        for name, pair in (("p", (bad, p)), ("q", (p, bad))):
            with pytest.raises(UsageError, match=f"^the probabilities {name} {words}"):
                distance(*pair)
    with pytest.raises(UsageError, match=f"^the positions {words}"):
        earth_mover_line(p, p, [0, 1], bad)
    with pytest.raises(UsageError, match=f"^the costs {words}"):
        earth_mover([1.0], p, bad)


def test_costs_and_positions_at_the_limit() -> None:
    p = [0.5, 0.5]
    assert earth_mover_line(p, [1.0], [-1e150, 1e150], [0]) == pytest.approx(1e150)
    assert earth_mover(p, [1.0], [[-1e150], [1e150]]) == 0


def test_exact_numbers_of_python_are_numbers() -> None:
    p, q = [Fraction(1, 2)] * 2, [Fraction(1, 4), Fraction(3, 4)]
    assert total_variation(p, q) == 0.25
    assert earth_mover([1, 0], [0, 1], [[0, 10**20], [10**20, 0]]) == pytest.approx(1e20)


def test_probabilities_are_made_to_sum_to_1_if_they_nearly_do() -> None:
    half = [0.5, 0.5]
    assert kullback_leibler([0.5 * (1 + 8e-6)] * 2, half) == pytest.approx(0.0, abs=1e-12)
    assert total_variation([0.5 * (1 + 8e-6)] * 2, half) == pytest.approx(0.0, abs=1e-12)
    for total in (1 - 2e-5, 1 + 2e-5):
        with pytest.raises(UsageError, match="probabilities sum to 1"):
            total_variation(half, [0.5 * total] * 2)
