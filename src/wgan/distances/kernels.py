"""Distances from the mean of a function over pairs of samples: no transport is solved."""

import math
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from wgan.arrays import Floats
from wgan.distances.samples import by_content, checked, mean_over_pairs

LOOKED_AT = 1000
"""Samples a side that choose the kernel's width."""


def energy(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The energy distance, as :func:`scipy.stats.energy_distance` has it in one dimension.

    .. math:: \sqrt{2 \, \mathbb{E} \|x - y\| - \mathbb{E} \|x - x'\| - \mathbb{E} \|y - y'\|}

    The means are over all pairs of samples, a sample and itself included, so that it is never negative and
    errs upwards.

    References:
        Energy statistics (Székely, Rizzo, 2013), https://doi.org/10.1016/j.jspi.2013.03.018

    Args:
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Not used.

    Returns:
        The distance, in the square root of the samples' units.

    Raises:
        UsageError: The samples do not suit each other.
    """
    x, y = checked(x, y)
    square = 2 * mean_over_pairs(x, y, np.sqrt) - mean_over_pairs(x, x, np.sqrt) - mean_over_pairs(y, y, np.sqrt)
    return math.sqrt(max(0.0, square))


def mmd(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The squared maximum mean discrepancy with a Gaussian kernel, estimated without bias.

    .. math:: \mathbb{E} \, k(x, x') + \mathbb{E} \, k(y, y') - 2 \, \mathbb{E} \, k(x, y),
        \quad k(a, b) = e^{-\|a - b\|^2 / 2 \sigma^2}

    The width :math:`\sigma` is the median distance of all samples (of at most 1,000 a side), or where that is 0 the
    median of those that are not. For samples of one distribution the result is 0 on average, and a little more often
    negative than positive.

    References:
        A Kernel Two-Sample Test (Gretton et al., 2012), https://jmlr.org/papers/v13/gretton12a.html

    Args:
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Chooses the samples that give the width.

    Returns:
        A number without unit, at most 2.

    Raises:
        UsageError: The samples do not suit each other, or a side has only one.
    """
    x, y = checked(x, y, least=2)
    width = _width(*(side[by_content(side, seed)[:LOOKED_AT]] for side in (x, y)))

    def kernel(squares: Floats) -> Floats:
        values: Floats = np.exp(squares / (-2 * width**2))
        return values

    return sum(_among_others(side, mean_over_pairs(side, side, kernel)) for side in (x, y)) - 2 * mean_over_pairs(
        x, y, kernel
    )


def _width(x: Floats, y: Floats) -> float:
    lengths = pdist(np.concatenate((x, y)))
    found = float(np.median(lengths))
    if found == 0 and lengths.any():
        found = float(np.median(lengths[lengths > 0]))
    return found or 1.0  # if all samples are one, the kernel is 1 whatever the width


def _among_others(x: Floats, mean: float) -> float:
    """From the mean of a kernel over all pairs to that over pairs of two samples: the others are 1."""
    return (mean * len(x) - 1) / (len(x) - 1)
