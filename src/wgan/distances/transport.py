r"""Optimal transport of all mass of one set of samples onto another, with the Euclidean distance as the ground cost.

Everything here takes samples (N, D) and (M, D), each of weight 1/N or 1/M, and is exact for *these samples*. For the
distributions that they come from, it errs upwards: two sets from one distribution are at a distance that falls only as
:math:`N^{-1/D}` for D > 2 (as :math:`N^{-1/2}` in one dimension, and nearly so in two), D being the dimension of what
they fill. :func:`quadrature` takes that off.

References:
    Computational Optimal Transport (Peyré, Cuturi, 2019), https://arxiv.org/abs/1803.00567
"""

import math
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wgan.arrays import Floats
from wgan.distances.memory import demand_pairs
from wgan.distances.samples import both_halves, checked, squared_distances
from wgan.errors import WganError

Index = NDArray[np.int64]

BYTES = 42
"""What a pair of samples takes while the solver runs, measured."""

MOST_PIVOTS = 10**9
"""Of the network simplex: far more than it ever needs."""

ROUNDING = 1e-12
"""Differences of squares below this share of them are 0: a set and itself differ by rounding alone."""


def exact(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The Wasserstein distance of the samples: the least mean distance over which they must be moved.

    .. math:: W_1 = \min_{\pi} \sum_{ij} \pi_{ij} \| x_i - y_j \|

    Args:
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Not used.

    Returns:
        The distance, in the units of the samples.

    Raises:
        UsageError: The samples do not suit each other.
        WganError: The matrix of distances does not fit into memory.
    """
    return least_cost(_costs(*checked(x, y), root=True))


def w2(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The Wasserstein distance of order 2, which punishes long distances more.

    .. math:: W_2 = \Big( \min_{\pi} \sum_{ij} \pi_{ij} \| x_i - y_j \|^2 \Big)^{1/2}

    Args and errors are those of :func:`exact`.
    """
    return math.sqrt(least_cost(_costs(*checked(x, y), root=False)))


def quadrature(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The Wasserstein distance of the distributions: of the samples', less what samples of one distribution differ by.

    Each set is cut into two disjoint halves, x into A and A', y into B and B'. That finite samples never quite match
    adds to a distance as noise does, at right angles, so it is taken off in squares:

    .. math:: \widehat W^2 = \tfrac14 \big( W_1(A, B') + W_1(A', B) \big)^2 - W_1(A, A') \, W_1(B, B')

    The result is right when one distribution is a single point, or in high dimension a shifted or a scaled copy of the
    other (within 1 to 2 % for D = 32, if the change is well above the noise). In 2 to 8 dimensions, where the noise is
    not quite at right angles, it is 2 to 12 % too small for copies that changed by less than their spread, and more
    where that is a quarter of it or less; more samples help slowly. It is too small, without limit, where the details
    of every sample change by little beside the spread. It is nearer to :math:`W_2`
    than to :math:`W_1`, and may be several times too large, where few samples move far and the others stay: there
    :func:`debiased` is below the truth, as it is where all move alike by less than the distance between neighbours.
    Below what can be told from noise it may be negative: :math:`-\sqrt{|\widehat W^2|}`. A set and itself are at 0.

    Samples must be independent, or shared, or y's rows made from x's, one each and in the same order, as blurred
    pictures from sharp ones: halves are cut so that these are no trouble (see :func:`wgan.distances.samples.orders`).
    Samples made from others and then shuffled violate this: the result is too small or negative. Of the larger set as
    many samples are used as the smaller has.

    Args and errors are those of :func:`exact`.
    """
    return signed_root(less_noise(*across_and_within(x, y, seed)))


def less_noise(across: float, within_x: float, within_y: float) -> float:
    """The square of a distance across two sets, less what is noise in it, from the distances within them."""
    square = across**2 - within_x * within_y
    return 0.0 if abs(square) < ROUNDING * across**2 else square


def debiased(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The difference of transport costs across and within two sets, a divergence rather than a distance.

    .. math:: \tfrac12 \big( W_1(A, B') + W_1(A', B) \big) - \tfrac12 W_1(A, A') - \tfrac12 W_1(B, B')

    Its mean is 0 for one distribution, with little noise, and mostly positive for two others, so it tells small
    differences well. But its scale is not that of :math:`W_1`: of a shift by :math:`m` it shows only :math:`m^2 / 2c`
    where samples of one distribution are at :math:`c \gg m`, and :math:`m - c` where they are nearer.

    Args and errors are those of :func:`exact`; the halves are those of :func:`quadrature`.
    """
    return above_noise(*across_and_within(x, y, seed))


def above_noise(across: float, within_x: float, within_y: float) -> float:
    """By how much a distance across two sets is above those within them."""
    return across - (within_x + within_y) / 2


def signed_root(square: float) -> float:
    """The root of a square's size, with its sign."""
    return math.copysign(math.sqrt(abs(square)), square)


def across_and_within(x: Any, y: Any, seed: int) -> tuple[float, float, float]:
    """W1 across two sets of samples and within each, all between halves of one size."""
    return matched(x, y, seed).means


class Matched(NamedTuple):
    """Samples of x matched with samples of y, by optimal transport of halves: 2 h pairs (x_i, y_j).

    Attributes:
        across: Distance (2 h,) of the two samples of each pair.
        within_x: Distance (2 h,) of the pair's sample of x to the one that it is matched with in x's other half.
        within_y: The same for y.
        beside_x: Index (2 h,) of the pair that this other sample of x belongs to.
        beside_y: The same for y.
    """

    across: Floats
    within_x: Floats
    within_y: Floats
    beside_x: Index
    beside_y: Index

    @property
    def means(self) -> tuple[float, float, float]:
        """The mean distances across, within x and within y."""
        return float(self.across.mean()), float(self.within_x.mean()), float(self.within_y.mean())


def matched(x: Any, y: Any, seed: int) -> Matched:
    """Match each half of x with a half of y, and the two halves of each set with each other.

    Args and errors are those of :func:`exact`; the halves are those of :func:`quadrature`.
    """
    (x1, x2), (y1, y2) = both_halves(x, y, seed)
    half = len(x1)
    demand_pairs(2 * half, 2 * half, BYTES / 4, "exact transport")  # of halves, one after the other
    (of_x1, far1), (of_x2, far2) = assigned(x1, y2), assigned(x2, y1)
    (in_x, far_x), (in_y, far_y) = assigned(x1, x2), assigned(y1, y2)
    back_x, back_y = np.argsort(in_x), np.argsort(in_y)
    return Matched(
        across=np.concatenate([far1, far2]),
        within_x=np.concatenate([far_x, far_x[back_x]]),
        within_y=np.concatenate([far_y[back_y][of_x1], far_y[of_x2]]),
        beside_x=np.concatenate([half + in_x, back_x]),
        beside_y=np.concatenate([half + np.argsort(of_x2)[back_y[of_x1]], np.argsort(of_x1)[in_y[of_x2]]]),
    )


def assigned(x: Any, y: Any) -> tuple[Index, Floats]:
    """The row of y (N, D) that each row of x (N, D) is matched with, at the least total cost, and their distance."""
    ones = np.ones(len(x))  # whole masses stay whole in the solver, so that the plan is a permutation
    columns = _solved(_costs(x, y, root=True), ones, ones)[0].argmax(1)
    return columns, np.linalg.norm(x - y[columns], axis=1)


def _costs(x: Floats, y: Floats, root: bool) -> Floats:
    """Squared distances (N, M) or their roots, if there is memory for a solver that takes them."""
    demand_pairs(len(x), len(y), BYTES, "exact transport")
    cost = squared_distances(x, y)
    return np.sqrt(cost, out=cost) if root else cost


def least_cost(cost: Floats, p: Floats | None = None, q: Floats | None = None) -> float:
    """The least mean cost of moving masses p (N,) to q (M,), by default equal ones, for costs (N, M) of at least 0.

    The costs are scaled where they are.
    """
    n, m = cost.shape
    return _solved(cost, np.full(n, 1 / n) if p is None else p, np.full(m, 1 / m) if q is None else q)[1]


def _solved(cost: Floats, p: Floats, q: Floats) -> tuple[Floats, float]:
    """The best plan (N, M) and its cost, by the network simplex.

    Of sets of one size a shortest augmenting path, as SciPy's, needs half the time in many dimensions, but ten and more
    times as long in few where the sets are apart.
    """
    import ot

    largest = float(cost.max()) or 1.0  # POT stops at an absolute tolerance
    cost /= largest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its log says the same
        plan, log = _interruptible(lambda: ot.emd(p, q, cost, numItermax=MOST_PIVOTS, log=True))
    if log["warning"]:
        raise WganError(f"exact transport failed ({str(log['warning']).rstrip('.')}); use --method sliced.")
    return plan, largest * float(log["cost"])


def _interruptible(solve: Callable[[], Any]) -> Any:
    """What compiled code returns that may take minutes; a signal ends the wait for it, though the code cannot hear it.

    Where the process goes on, as in a notebook, the code ends in the background.
    """
    future = Future[Any]()

    def run() -> None:
        try:
            future.set_result(solve())
        except BaseException as error:  # it is raised where the result is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result()
