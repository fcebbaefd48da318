"""Errors and bounds of mean scores, against what repeated draws say."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from wgan.confidence import lower_bound, stderr
from wgan.measure.sides import Arrays


def test_errors_of_rows_made_from_each_other_are_those_of_their_differences() -> None:
    """Where a number changes its sign, both means err in opposite directions: independent errors are too small."""
    found, told, wrong = [], [], 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        far, turned = 3 * draw.normal(size=(600, 1)), draw.normal(size=(600, 1))
        sides = Arrays(np.hstack([far, turned]), np.hstack([far, -turned]), seed)
        for name in ("test", "certify"):
            x, y = (side[:, 1].double() for side in sides.part(name))
            found.append(float(x.mean() - y.mean()))
            told.append(stderr(x, y, sides.paired) or 0.0)
            wrong += (lower_bound(x, y, 1.0, sides.paired) or 0.0) > 0
    assert np.mean(told) == pytest.approx(np.std(found), rel=0.1)
    assert wrong <= stats.binom.ppf(0.999, 600, 0.001)


def test_the_error_of_pairs_is_never_below_that_of_independent_samples() -> None:
    a = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    b = a + 0.01 * torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = math.sqrt(a.numpy().var(ddof=1) / 500 + b.numpy().var(ddof=1) / 500)
    assert stderr(a, b, paired=True) == pytest.approx(expected) == stderr(a, b)
