r"""What exact transport of samples, set after set, says of W1: less noise, and lower where part of the mass stays.

Of one set of samples, transport less noise is :math:`\widehat W^2 = c^2 - a\,b`, from the mean distances c across both
sides and a, b within each (see :func:`wgan.distances.transport.quadrature`). Where distances are shorter than the
noise, that is the root of a mean square: if some mass moves far and other stays, the mean distance is shorter. So the
samples are sorted by how far their neighbours have moved, and each part of them gets a :math:`\widehat W_p` of its
own. Their mean is the least that the distance is taken to be, as the root of the mean square is the most:

.. math:: \widehat W = \frac1P \sum_p \sqrt{\max(0, c_p^2 - a_p b_p)}

A neighbour is the sample that a sample is matched with within its own side. It was moved without regard to the sample,
so the noise of one does not choose the part of the other. Neighbours in A tell where mass is missing, those in B where
some was added; the smaller mean counts. Squares are averaged over the sets first. The least over the most is the
*evenness*; the jackknife takes off what noise does to it, and tells its error. That all mass moves alike is believed
until the samples say otherwise, so the upper end of what the evenness may be is taken.

Noise that is added to every sample hides in that of the samples themselves, and transport hardly sees it. Means and
covariances do: what they demand of :math:`W_2`, times the evenness, is about the least that the distance can be.
"""

import math
import time
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from wgan.arrays import Floats
from wgan.distances.estimate import expected_seconds
from wgan.distances.gaussian import gaussian_less_noise
from wgan.distances.transport import Matched, less_noise, matched, signed_root
from wgan.measure.critics import ShareDone
from wgan.measure.sides import CUT, Sides
from wgan.measure.verdict import Opinion, between
from wgan.schedule import Budget

FOLDS = (4000, 2000, 1000, 400)
"""Samples a side that are cut into halves and transported: the largest of these sizes of which eight sets fit into the
time."""

PATIENCE = 2.0
"""Seconds that a set may take, as far as they are foreseen, if the budget is one of steps and says nothing of time."""

ERRORS = 4
"""Sets of samples that give transport a standard error, at least."""

PARTS = 8
"""Into which the pairs of a set are sorted by how far their neighbours moved."""

DOUBT = 1.96
"""Standard errors by which the samples must deny it before mass is believed not to move alike."""


class Moves(NamedTuple):
    """What transport says.

    Attributes:
        distance: The distance, between the least and the most that it may be: nearer to the most, the more evenly mass
            moves.
        evenness: The least over the most, from 0 to 1: 1 where all mass moves alike, or may do so.
        noise: The share of the cost of transport that is noise.
        cost: What transport of the samples costs, noise included.
        moments: What means and covariances demand, less noise, and at least that with 95 % confidence.
    """

    distance: Opinion
    evenness: float
    noise: float
    cost: float
    moments: float


def transported(sides: Sides, budget: Budget, progress: ShareDone) -> Moves:
    """Transport as many disjoint sets of samples as there is time for, 4 to 16."""
    began, most = time.perf_counter(), 8 if budget.seconds is None else 16
    costs: list[tuple[float, float, float]] = []
    squares: list[Floats] = []
    moments: list[float] = []
    for fold in sides.folds(_fold(sides, budget)):
        found = matched(*fold, sides.seed)
        costs.append(found.means)
        squares.append(_squares_of_parts(found))
        moments.append(gaussian_less_noise(*fold, seed=sides.seed))
        spent = time.perf_counter() - began
        share = spent / budget.seconds if budget.seconds is not None else len(costs) / most
        progress(min(1.0, share))
        if len(costs) == most or (len(costs) >= ERRORS and share * (1 + 1 / len(costs)) > 1):
            break
    unit = sides.scale
    return _summed_up(np.array(costs) * unit, np.array(squares) * unit**2, np.array(moments) * unit**2)


def _summed_up(costs: Floats, squares: Floats, moments: Floats) -> Moves:
    """From distances (S, 3) of each set, squares (S, 2, P) of its parts and those that its moments demand (S,)."""
    even = np.array([less_noise(*each) for each in costs])
    across, within = float(costs[:, 0].mean()), float(costs[:, 1:].mean())
    square, error = float(even.mean()), float(even.std(ddof=1)) / math.sqrt(len(even))
    most, spread = root_with_error(square, error)
    evenness = _evenness(squares, even)
    ninety = float(stdtrit(len(even) - 1, 0.95))  # an error from so few squares is not known well
    value, margin = between(evenness * most, most, evenness)
    demanded = float(moments.mean() - ninety * moments.std(ddof=1) / math.sqrt(len(moments)))
    noise = min(1.0, within / across) if across else 0.0
    return Moves(
        Opinion(value, spread, margin, ninety), evenness, noise, across, evenness * math.sqrt(max(0.0, demanded))
    )


def root_with_error(square: float, error: float) -> tuple[float, float]:
    """The root of a square, with its sign, and the error of the square carried through it, from 0 if it is negative."""
    likely = max(square, 0.0)
    return signed_root(square), (signed_root(likely + error) - signed_root(likely - error)) / 2


def _squares_of_parts(found: Matched) -> Floats:
    """The squares (2, P) of parts that are sorted by the neighbours in A, and in B."""
    surplus = found.across**2 - found.within_x * found.within_y
    orders = (np.argsort(surplus[beside], kind="stable") for beside in (found.beside_x, found.beside_y))
    distances = found.across, found.within_x, found.within_y
    return np.array(
        [[_square(*(each[part] for each in distances)) for part in np.array_split(order, PARTS)] for order in orders]
    )


def _square(across: Floats, within_x: Floats, within_y: Floats) -> float:
    return less_noise(float(across.mean()), float(within_x.mean()), float(within_y.mean()))


def _evenness(squares: Floats, even: Floats) -> float:
    """The least over the most, from the squares (S, 2, P) of parts and those of whole sets (S,)."""
    n = len(even)
    without = np.array(
        [_least_over_most(*((each.sum(0) - each[i]) / (n - 1) for each in (squares, even))) for i in range(n)]
    )
    value = n * _least_over_most(squares.mean(0), even.mean()) - (n - 1) * float(without.mean())
    error = math.sqrt((n - 1) * float(without.var()))
    return min(1.0, max(0.0, value + DOUBT * error))


def _least_over_most(squares: Floats, even: float) -> float:
    """Of each side's parts (2, P) the mean root, where the square is not negative; the smaller, over that of all."""
    return float(np.sqrt(squares.clip(0.0)).mean(1).min()) / math.sqrt(even) if even > 0 else 1.0


def _fold(sides: Sides, budget: Budget) -> int:
    """Samples a side in each set to transport: as many as time allows eight times, and as give four sets."""
    each = PATIENCE if budget.seconds is None else budget.seconds / 8
    # A set takes what quadrature does: nearly all of that is the four transports of halves in `matched`.
    fold = next((n for n in FOLDS if expected_seconds(n, sides.dim) < each), FOLDS[-1])
    if sides.sizes is None:
        return fold
    return min(fold, int((1 - CUT["certify"]) * min(sides.sizes) - 1) // ERRORS)  # what certifies is rounded
