"""Transport along lines, where sorting solves it: exact in one dimension, a summary in many."""

from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance
from torch import float32, randn

from wgan.arrays import Floats
from wgan.distances.samples import BLOCK, checked
from wgan.errors import UsageError
from wgan.seeds import rng

DIRECTIONS = 500


def line(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The Wasserstein distance of numbers, exactly: the area between their distribution functions.

    .. math:: W_1 = \int |F_x(t) - F_y(t)| \, dt

    Args:
        x: Samples (N, 1).
        y: Samples (M, 1).
        seed: Not used.

    Raises:
        UsageError: The samples have more than one coordinate.
    """
    x, y = checked(x, y)
    if x.shape[1] != 1:
        raise UsageError(f"the method line is for single numbers, but the samples have {x.shape[1]:,} each; use exact.")
    return float(wasserstein_distance(x[:, 0], y[:, 0]))


def sliced(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The mean Wasserstein distance of the samples' projections onto 500 random directions.

    .. math:: \mathrm{SW}_1 = \mathbb{E}_{\|\theta\| = 1} \, W_1(\theta^\top x, \theta^\top y)

    It is quick for any number of samples, and smaller than :math:`W_1`: of a shift in D dimensions, directions see
    :math:`\frac{\Gamma(D/2)}{\sqrt\pi \, \Gamma((D+1)/2)}` of it on average, nearly :math:`\sqrt{2 / \pi D}` in many.

    References:
        Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015),
        https://doi.org/10.1007/s10851-014-0506-3

    Args:
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Chooses the directions.

    Raises:
        UsageError: The samples do not suit each other.
    """
    return float(projected_distances(x, y, seed).mean())


def projected_distances(x: Any, y: Any, seed: int) -> Floats:
    """The Wasserstein distance of the samples' projections onto each of the 500 directions (500,).

    Args and errors are those of :func:`sliced`, which is their mean.
    """
    import ot

    x, y = checked(x, y)
    directions = randn(x.shape[1], DIRECTIONS, generator=rng(seed, "directions"), device="cpu", dtype=float32).double()
    projections = (directions / directions.norm(dim=0)).numpy()
    step = max(1, BLOCK // (len(x) + len(y)))  # POT makes a dozen arrays of all projections that it is given
    parts = (projections[:, start : start + step] for start in range(0, DIRECTIONS, step))
    return np.concatenate([ot.wasserstein_1d(x @ part, y @ part, p=1) for part in parts])
