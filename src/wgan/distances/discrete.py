r"""Distances of two distributions on finitely many points, from their probabilities, in nats and float64.

Probabilities are arrays of numbers that are not negative and sum to 1. They may have several axes; two of the same
points have one shape. Everywhere :math:`0 \log 0 = 0`, and what is infinite is ``math.inf``.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr, xlogy
from scipy.stats import wasserstein_distance

from wgan.arrays import Floats
from wgan.distances.samples import LARGEST, numbers
from wgan.distances.transport import least_cost
from wgan.errors import UsageError

TOLERANCE = 1e-5
"""How far from 1 a sum of probabilities may be: float32 is welcome."""


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    r"""The largest difference of the probabilities of any event, between 0 and 1.

    .. math:: \mathrm{TV}(p, q) = \tfrac12 \sum_i |p_i - q_i|

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), section 2, https://arxiv.org/abs/1701.07875

    Args:
        p: Probabilities (K,), or of any shape.
        q: Probabilities of the same points, in the same shape.

    Raises:
        UsageError: They are not probabilities, or of different shapes.
    """
    p, q = _pair(p, q)
    return float(np.abs(p - q).sum() / 2)


def kullback_leibler(p: ArrayLike, q: ArrayLike) -> float:
    r"""The Kullback-Leibler divergence of p from q, in nats; swap them for the reverse one.

    .. math:: \mathrm{KL}(p \| q) = \sum_i p_i \log \frac{p_i}{q_i}

    It is infinite if p gives weight to a point to which q gives none.

    References:
        On Information and Sufficiency (Kullback, Leibler, 1951), https://doi.org/10.1214/aoms/1177729694

    Args:
        p: Probabilities (K,), or of any shape.
        q: Probabilities of the same points, in the same shape.

    Raises:
        UsageError: They are not probabilities, or of different shapes.
    """
    return max(0.0, float(rel_entr(*_pair(p, q)).sum()))


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    r"""The mean surprise, in nats, of an observer who expects q but sees p.

    .. math:: H(p, q) = - \sum_i p_i \log q_i = H(p) + \mathrm{KL}(p \| q)

    It is infinite where the Kullback-Leibler divergence is; of p and itself it is the entropy.

    References:
        A Mathematical Theory of Communication (Shannon, 1948), https://doi.org/10.1002/j.1538-7305.1948.tb01338.x

    Args:
        p: Probabilities (K,), or of any shape.
        q: Probabilities of the same points, in the same shape.

    Raises:
        UsageError: They are not probabilities, or of different shapes.
    """
    return max(0.0, -float(xlogy(*_pair(p, q)).sum()))


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> float:
    r"""The Jensen-Shannon divergence, in nats: symmetric, and log 2 where the supports are disjoint.

    .. math:: \mathrm{JS}(p, q) = \tfrac12 \mathrm{KL}(p \| m) + \tfrac12 \mathrm{KL}(q \| m), \quad m = (p + q) / 2

    References:
        Divergence Measures Based on the Shannon Entropy (Lin, 1991), https://doi.org/10.1109/18.61115

    Args:
        p: Probabilities (K,), or of any shape.
        q: Probabilities of the same points, in the same shape.

    Raises:
        UsageError: They are not probabilities, or of different shapes.
    """
    p, q = _pair(p, q)
    both = p + q  # twice the mean: halving the smallest numbers would give 0
    return max(0.0, float((rel_entr(2 * p, both) + rel_entr(2 * q, both)).sum() / 4))


def earth_mover(p: ArrayLike, q: ArrayLike, cost: ArrayLike) -> float:
    r"""The least cost of turning p into q, exactly: the earth mover's distance.

    .. math:: \min_{\pi \ge 0} \sum_{ij} \pi_{ij} c_{ij} \quad
        \text{with} \quad \sum_j \pi_{ij} = p_i, \; \sum_i \pi_{ij} = q_j

    With the distance of points as the cost this is the Wasserstein distance :math:`W_1`.

    References:
        Computational Optimal Transport (Peyré, Cuturi, 2019), chapter 3, https://arxiv.org/abs/1803.00567

    Args:
        p: Probabilities (K,), or of any shape with K numbers.
        q: Probabilities (L,), or of any shape with L numbers, of as many points as one likes.
        cost: What it costs to move one unit from the i-th point of p to the j-th of q, finite (K, L). Points
            of several axes are in the order of ``numpy.ravel``.

    Raises:
        UsageError: p or q are no probabilities, or the cost does not suit them.
    """
    p, q = probabilities("p", p).ravel(), probabilities("q", q).ravel()
    cost = _numbers("costs", cost, "(K, L)")
    if cost.shape != (len(p), len(q)):
        raise UsageError(f"the costs have shape {cost.shape}, but they must have shape ({len(p)}, {len(q)}).")
    if not np.isfinite(cost).all():
        raise UsageError("some costs are NaN or infinite; give a way that is not to be taken a large cost.")
    least = float(cost.min())  # POT calls some problems with negative costs infeasible; a unit of mass moves in all
    return least + least_cost(np.ascontiguousarray(cost - least), p, q)


def earth_mover_line(
    p: ArrayLike,
    q: ArrayLike,
    positions_p: ArrayLike | None = None,
    positions_q: ArrayLike | None = None,
) -> float:
    r"""The earth mover's distance on the line, exactly: the area between the distribution functions.

    .. math:: W_1(p, q) = \int |F_p(t) - F_q(t)| \, dt

    References:
        Computational Optimal Transport (Peyré, Cuturi, 2019), section 2.6, https://arxiv.org/abs/1803.00567

    Args:
        p: Probabilities (K,).
        q: Probabilities (L,).
        positions_p: Where the points of p are, finite (K,), in any order; by default where those of q are.
        positions_q: Where the points of q are, finite (L,); by default where those of p are, or 0, 1, 2, ... for both.

    Returns:
        The distance, in the units of the positions.

    Raises:
        UsageError: p or q are no probabilities or have more than one axis, or the positions do not suit them.
    """
    p, q = probabilities("p", p), probabilities("q", q)
    for name, side in (("p", p), ("q", q)):
        if side.ndim > 1:  # laid out in a line, neighbours of a grid would be a whole row apart
            raise UsageError(
                f"{name} has shape {side.shape}, but points on a line have one axis; "
                "for others use earth_mover(p, q, cost)."
            )
    at_p = _positions(positions_q if positions_p is None else positions_p, len(p))
    at_q = _positions(positions_p if positions_q is None else positions_q, len(q))
    return float(wasserstein_distance(at_p, at_q, p, q))


def probabilities(name: str, values: ArrayLike) -> Floats:
    """Probabilities as float64 in their own shape, divided by their sum: then it is 1, up to rounding.

    Args:
        name: What to call them in an error.
        values: Numbers of any shape, of at least one axis, whose sum is 1 up to :data:`TOLERANCE`.

    Raises:
        UsageError: They are no real numbers, not finite, negative, all 0, or their sum is another.
    """
    found = _numbers(f"probabilities {name}", values, "(K,)")
    if not np.isfinite(found).all():
        raise UsageError(f"some numbers of {name} are NaN or infinite, and none may be.")
    if found.min(initial=0.0) < 0:
        raise UsageError(f"some numbers of {name} are negative, and counts and probabilities are not.")
    if not found.any():
        raise UsageError(f"{name} has no number above 0; at least one must be.")
    total = found.sum()
    if abs(total - 1) > TOLERANCE:
        raise UsageError(f"{name} sums to {total:.6g}, but probabilities sum to 1; divide them by their sum.")
    normal: Floats = found / total
    return normal


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Floats, Floats]:
    """Both flat."""
    p, q = probabilities("p", p), probabilities("q", q)
    if p.shape != q.shape:
        raise UsageError(f"p has {_size(p)} and q has {_size(q)}; both must be of the same points, in one shape.")
    return p.ravel(), q.ravel()


def _size(p: Floats) -> str:
    return f"{p.size} probabilities" if p.ndim == 1 else f"probabilities of shape {p.shape}"


def _numbers(name: str, values: ArrayLike, shape: str) -> Floats:
    """Real numbers as float64, none of which overflows when some are added."""
    found = numbers(values, f"the {name}", shape)
    if LARGEST < (largest := float(np.abs(found).max(initial=0.0))) < math.inf:
        raise UsageError(
            f"the {name} have values up to {largest:.3g}, but at most {LARGEST:g} are allowed; divide them by a number."
        )
    return found


def _positions(values: ArrayLike | None, points: int) -> Floats:
    at = _numbers("positions", np.arange(points) if values is None else values, "(K,)")
    if at.shape != (points,):
        raise UsageError(f"the positions have shape {at.shape}, but they must have ({points},), one for each point.")
    if not np.isfinite(at).all():
        raise UsageError("some positions are NaN or infinite; give finite ones.")
    return at
