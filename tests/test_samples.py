"""Samples as rows, and how far apart they are: outliers, copies, and what is no set of samples."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from toolbox import Array, normal
from wgan.distances import samples
from wgan.distances.samples import squared_distances


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
