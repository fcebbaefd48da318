"""Errors, nulls and ends of distances: by other means, and by the seed that was given."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from toolbox import Array, normal
from wgan.compare import choose
from wgan.distances.estimate import EVALUATIONS, _cut, with_error_and_null
from wgan.distances.kernels import energy, mmd
from wgan.distances.line import sliced
from wgan.distances.samples import by_content, halves
from wgan.distances.transport import across_and_within, exact, quadrature
from wgan.errors import UsageError


@pytest.mark.parametrize(("shift", "seed"), [(0.0, 0), (0.1, 2), (0.4, 0), (0.6, 1), (3.0, 5)])
def test_the_error_of_quadrature_is_that_of_ten_folds_carried_through_the_root(shift: float, seed: int) -> None:
    x, y = normal(200, 3, 2 * seed), normal(200, 3, 2 * seed + 1) + shift
    ways, *folds = (across_and_within(*pair, seed) for pair in ((x, y), *_cut(x, y, seed, 10)))
    square, *squares = (across**2 - one * other for across, one, other in (ways, *folds))
    fair = math.sqrt(2 / 9) * math.gamma(5) / math.gamma(4.5)
    error = np.std(squares, ddof=1) / math.sqrt(10) / fair * ways[0] / np.mean([across for across, *_ in folds])
    ends = [np.array([square + k * error, square - k * error]) for k in (1, 2)]
    roots = [float(-np.diff(np.sign(each) * np.sqrt(abs(each)))[0]) for each in ends]
    assert with_error_and_null(quadrature, x, y, seed=seed).standard_error == pytest.approx(
        max(roots[0] / 2, roots[1] / 4), rel=1e-9
    )


def test_the_most_of_few_samples_has_no_error_in_it_and_moments_say_nothing_of_them() -> None:
    x, y = normal(30, 4), normal(30, 4, 1)
    found = with_error_and_null(quadrature, x, y)
    assert found.most == across_and_within(x, y, 0)[0] and found.moments is None


def test_the_most_is_never_below_0_nor_that_of_the_errors() -> None:
    found = [with_error_and_null(quadrature, normal(60, 4, 2 * k), normal(60, 4, 2 * k + 1)) for k in range(8)]
    assert min(each.value for each in found) < 0
    for each in found:
        assert each.most is not None and each.standard_error is not None and each.most >= 1.645 * each.standard_error


def test_the_seed_is_that_of_the_halves_the_groups_and_the_method() -> None:
    x, y = normal(120, 3), normal(120, 3, 1) + 1
    assert with_error_and_null(quadrature, x, y, seed=5).value == quadrature(x, y, seed=5) != quadrature(x, y)
    found = with_error_and_null(sliced, x, y, seed=5)
    assert found.value == sliced(x, y, seed=5) != sliced(x, y)
    assert found.null == sliced(*halves(x, by_content(x, 5)), seed=5)
    errors = {with_error_and_null(exact, x, y, seed=seed).standard_error for seed in range(3)}
    assert len(errors) == 3


def test_a_single_sample_is_transported_as_it_is() -> None:
    assert choose(1, 5000, 3)[0] == choose(5000, 1, 3)[0] == "exact" and choose(20, 5000, 3)[0] == "quadrature"
    assert choose(19, 5000, 3)[0] == "exact" and "19" not in choose(19, 19, 3)[1]


def test_of_many_samples_a_thousand_a_side_that_the_seed_chooses_give_the_width() -> None:
    x, y = normal(1300, 2), 5 * normal(1100, 2, 1)
    for seed in (0, 3):
        width = np.median(pdist(np.concatenate([side[by_content(side, seed)[:1000]] for side in (x, y)])))
        xx, yy, xy = (np.exp(cdist(*pair, "sqeuclidean") / (-2 * width**2)) for pair in ((x, x), (y, y), (x, y)))
        expected = (xx.sum() - 1300) / 1300 / 1299 + (yy.sum() - 1100) / 1100 / 1099 - 2 * xy.mean()
        assert mmd(x, y, seed=seed) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("few", [0, 1])
def test_a_single_sample_has_no_pairs(few: int) -> None:
    sides = [normal(20, 2), normal(20, 2, 1)]
    sides[few] = sides[few][:1]
    with pytest.raises(UsageError, match="needs at least 2 a side"):
        mmd(*sides)
    assert energy(*sides) > 0


@pytest.mark.parametrize("change", [np.sign, np.round, lambda x: x.clip(-0.5, 0.5)], ids=["sign", "round", "clip"])
def test_a_change_of_every_sample_s_details_is_within_the_range_of_quadrature(change: Callable[[Array], Array]) -> None:
    """The nearest points of a set are the mean way off: the distance to the set is a critic of slope 1."""
    x, y = normal(600, 40), normal(600, 40, 1)
    truth = np.linalg.norm(y - change(y), axis=1).mean()
    found = with_error_and_null(quadrature, x, change(y))
    assert found.least is not None and found.most is not None
    assert found.value < 0.9 * truth and found.least < truth < found.most


def test_a_long_evaluation_tells_of_its_progress() -> None:
    told: list[float] = []
    with_error_and_null(energy, normal(60, 2), normal(60, 2, 1), progress=told.append)
    assert told == [k / EVALUATIONS for k in range(1, EVALUATIONS)], "the null is the last, and then it is over"
    with_error_and_null(energy, normal(20, 2), normal(20, 2, 1), progress=told.append)
    assert len(told) == EVALUATIONS - 1, "few samples have neither error nor null"
