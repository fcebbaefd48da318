"""Samples as rows, and how far apart they are: outliers, copies, and what is no set of samples."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from toolbox import Array, normal
from wgan.distances import samples
from wgan.distances.estimate import with_error_and_null
from wgan.distances.kernels import mmd
from wgan.distances.samples import both_halves, by_content, checked, orders, rows, squared_distances
from wgan.distances.transport import debiased, exact
from wgan.errors import UsageError
from wgan.registry import DISTANCES


def test_squared_distances_keep_their_digits() -> None:
    x, y = normal(40, 6) + 100, normal(30, 6, 1) + 100
    y[:10] = x[:10] + 1e-7
    assert squared_distances(x, y) == pytest.approx(cdist(x, y, "sqeuclidean"), rel=1e-6)


@pytest.mark.parametrize("block", [100, 2**22])
@pytest.mark.parametrize("outlier", [-9999.0, 1e12])
def test_an_outlier_costs_neither_digits_nor_time(outlier: float, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    slow = samples._by_differences
    monkeypatch.setattr(samples, "BLOCK", block)
    monkeypatch.setattr(samples, "_by_differences", lambda *of: (again.append(len(of[3])), slow(*of)))
    x, y = normal(40, 6) + 3, normal(30, 6, 1) + 3
    y[:10] = x[:10] + 1e-7
    x[20] = outlier
    assert squared_distances(x, y) == pytest.approx(cdist(x, y, "sqeuclidean"), rel=1e-6)
    assert 10 <= sum(again) <= 12, "those that nearly coincide"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_sets_that_coincide_need_no_memory_for_every_pair(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "BLOCK", 2**14)
    x: Array = np.where(np.arange(2000)[:, None] % 2, value, [[2.0, 5.0]])
    tracemalloc.start()
    found = squared_distances(x, x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found, cdist(x, x, "sqeuclidean"))
    assert most < 1.5 * found.nbytes


NUMBERS = normal(10, 1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (NUMBERS * 1e200, "up to .*e\\+200, too large"),
        (NUMBERS.astype(str), "an array of <U32"),
        (np.full((10, 1), None), "an array of object"),
        (NUMBERS.astype(complex), "an array of complex128"),
        (torch.zeros(10, 1, dtype=torch.complex64), "an array of complex64"),
        ([[1.0], [2.0, 3.0]], "different lengths"),
        (np.ma.masked_greater(NUMBERS, 0), "masked values"),
        (torch.from_numpy(NUMBERS).to_sparse(), r"the tensor is sparse; make it dense first, with \.to_dense"),
        (7.0, "are a float"),
        (None, "are a NoneType"),
    ],
)
@pytest.mark.parametrize("name", DISTANCES)
def test_what_is_no_set_of_real_numbers_is_refused_in_a_sentence(name: str, bad: Any, words: str) -> None:
    method: Callable[..., float] = DISTANCES[name].load()
    for pair in ((bad, NUMBERS), (NUMBERS, bad)):
        with pytest.raises(UsageError, match=words) as caught:
            method(*pair)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float32, np.longdouble])
def test_all_real_numbers_are_welcome(kind: Any) -> None:
    ones = np.ones((4, 3), kind)
    for same in (ones, ones.tolist(), np.ma.masked_array(ones), torch.ones(4, 3, dtype=torch.bfloat16)):
        assert rows(same).dtype == np.float64 and np.array_equal(rows(same), np.ones((4, 3)))
    assert checked(ones, NUMBERS[:, [0, 0, 0]] * 1e149)[1].max() < 1e150


@pytest.mark.parametrize("name", DISTANCES)
def test_small_samples_have_small_distances(name: str) -> None:
    """At a scale where all squares are normal numbers, distances are those of the samples as they are, scaled."""
    method: Callable[..., float] = DISTANCES[name].load()
    x, y = normal(80, 1), 2 * normal(80, 1, 1) + 1
    root = {"energy": 0.5, "mmd": 0.0}.get(name, 1.0)
    if name not in ("quadrature", "debiased"):  # whose halves depend on the digits
        assert method(x * 1e-148, y * 1e-148) == pytest.approx(1e-148**root * method(x, y), rel=1e-9)
    assert method(0 * x, 0 * y) == 0


def test_a_set_of_next_to_no_spread_has_no_null_to_speak_of() -> None:
    found = with_error_and_null(exact, normal(100, 2) * 1e-200, np.ones((100, 2)))
    assert (
        found.value == pytest.approx(2**0.5) and found.null == 0 and found.standard_error == pytest.approx(0, abs=1e-15)
    )


def test_mmd_of_many_samples_does_not_depend_on_how_they_are_sorted() -> None:
    x, y = (np.sort(normal(1200, 1, seed) ** 3, axis=0) for seed in (0, 1))
    assert mmd(x, y) == pytest.approx(mmd(x[::-1], y), rel=1e-9, abs=1e-12)
    lengths = pdist(np.concatenate([x, y]))
    kernel = [np.exp(-(cdist(a, b) ** 2) / (2 * np.median(lengths) ** 2)) for a, b in ((x, x), (y, y), (x, y))]
    whole = sum((k.sum() - 1200) / (1200 * 1199) for k in kernel[:2]) - 2 * kernel[2].mean()
    assert mmd(x, y) == pytest.approx(whole, rel=0.2)


def test_discrete_data_of_which_one_sample_has_changed_have_corresponding_halves() -> None:
    """By the triangle inequality: half of it went 1 away, so each cost across and within differ by 1/200 at most."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 4, (400, 2)).astype(float)
    y = x[draw.permutation(400)]
    y[7, 0] += 1
    assert abs(debiased(x, y)) <= 1 / 200 + 1e-9


def test_samples_that_two_sets_share_have_one_place_though_a_few_are_copies() -> None:
    x, fresh = normal(200, 3), normal(100, 3, 1)
    x[199] = x[198]
    mixed = np.random.default_rng(2).permutation(200)
    y = np.concatenate([x[:100], fresh])[mixed]
    in_x, in_y = (np.argsort(order) for order in orders(x, y, 0))  # the place of each row
    assert np.corrcoef(in_x[:100], in_y[np.argsort(mixed)[:100]])[0, 1] > 0.95


def test_a_zero_is_a_zero_whatever_its_sign() -> None:
    x = np.random.default_rng(0).integers(0, 2, (30, 8)).astype(float)
    assert np.array_equal(by_content(x, 0), by_content(np.where(x == 0, -0.0, x), 0))


def test_squared_distances_keep_their_digits_in_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.distances.samples.BLOCK", 7 * 40)
    x = normal(60, 5)
    y = x[20:] + 1e-9 * normal(40, 5, 1)
    np.testing.assert_allclose(squared_distances(x, y), ((x[:, None] - y) ** 2).sum(-1), rtol=1e-6)


def test_halves_are_as_large_as_asked_for() -> None:
    x, y = normal(41, 2), normal(30, 2, 1)
    for most, size in ((7, 7), (None, 15), (99, 15)):
        of_x, of_y = both_halves(x, y, 0, most)
        assert [len(half) for half in (*of_x, *of_y)] == [size] * 4
        for whole, (one, other) in ((x, of_x), (y, of_y)):
            rows = {tuple(row) for row in (*one, *other)}
            assert len(rows) == 2 * size and rows <= {tuple(row) for row in whole}
