"""A distance with what is needed to believe it: its standard error, and what the same method says of nothing."""

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import hadamard

from wgan.arrays import Floats
from wgan.distances.gaussian import gaussian_less_noise
from wgan.distances.line import projected_distances, sliced
from wgan.distances.samples import by_content, checked, halves, orders
from wgan.distances.transport import (
    above_noise,
    across_and_within,
    less_noise,
    quadrature,
    signed_root,
)

Method = Callable[..., float]
Means = tuple[float, float, float]

NINETY = 1.645
"""Standard errors on each side of an interval of 90 %."""

GROUPS, FOLDS = 8, 10
EVALUATIONS = 16
"""Of a method: its value, two halves in each of seven ways, and the null."""

FEWEST_FOR_ERROR = 50
"""Samples a side below which groups say nothing about the error, and halves nothing about the null."""

FEWEST_FOR_NOISE = 20
"""Samples a side below which the noise cannot be told well enough to be taken off."""


class Measured(NamedTuple):
    """A distance and what is needed to believe it; see :class:`~wgan.distances.result.Estimate`."""

    value: float
    standard_error: float | None
    null: float | None
    least: float | None = None
    most: float | None = None
    moments: float | None = None


def with_error_and_null(
    method: Method, x: Any, y: Any, *, seed: int = 0, progress: Callable[[float], None] = lambda share: None
) -> Measured:
    """A distance with its error and its null.

    Args:
        method: A function ``(x, y, *, seed) -> float``.
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Chooses halves and groups, and is handed to the method.
        progress: Told which share of the work is done; ``quadrature``, which takes seconds, does not tell.

    Returns:
        The value, its standard error and the null, which are None below 50 samples a side, the ends and the moments.

    Raises:
        UsageError: The samples do not suit each other or the method.
        WganError: The method needs more memory than there is.
    """
    x, y = checked(x, y)
    if method is quadrature:
        return _quadrature(x, y, seed)
    evaluations = count(1)

    def done() -> None:
        progress(next(evaluations) / EVALUATIONS)

    value = method(x, y, seed=seed)
    if _are_few(x, y):
        return Measured(value, None, None)
    done()
    return Measured(value, standard_error(method, x, y, seed, done), _null(method, x, y, seed))


def _are_few(x: Floats, y: Floats) -> bool:
    return min(len(x), len(y)) < FEWEST_FOR_ERROR


def _null(method: Method, x: Floats, y: Floats, seed: int) -> float:
    return method(*halves(x, by_content(x, seed), null_size(len(x), len(y))), seed=seed)


def _quadrature(x: Floats, y: Floats, seed: int) -> Measured:
    """It with its ends, of which ``debiased`` is from the same transports, and with what moments demand."""
    means = across_and_within(x, y, seed)
    value = signed_root(less_noise(*means))
    least, most = (min(value, above_noise(*means)), means[0]) if value else (0.0, 0.0)
    if _are_few(x, y):  # whose covariances are mostly noise
        return Measured(value, None, None, least, most)
    error = _error_by_folds(x, y, means, seed)
    moments = max(0.0, signed_root(gaussian_less_noise(x, y, seed=seed))) if value else 0.0
    return Measured(value, error, _null(quadrature, x, y, seed), least, most + NINETY * error, moments)


def null_size(n: int, m: int) -> int:
    """Samples in each of the parts of A (n) that give the null: at most as many as B has (m).

    A distance errs upwards by what the smaller set lacks, so larger parts would make noise look like a difference.
    """
    return min(n // 2, m)


def standard_error(method: Method, x: Floats, y: Floats, seed: int, done: Callable[[], None] = lambda: None) -> float:
    r"""The standard error of a distance, by balanced repeated replication.

    Both sets are cut into 8 groups, and 4 of them, :math:`H`, are held against the other 4, :math:`H'`, in 7 ways that
    the rows of a Hadamard matrix give:

    .. math:: \frac14 \cdot \frac17 \sum_{k=1}^7 \big( d(H_k) - d(H'_k) \big)^2

    For a mean this square is without bias, and its root is divided by what the root of a mean of 7 squares falls short
    of on average, :math:`\sqrt{2/7} \, \Gamma(4) / \Gamma(3.5)`. Where the variance falls faster than 1/N, as that of
    ``mmd``, ``sinkhorn``, ``exact`` and ``w2`` for one distribution in several dimensions, it is too large; in one
    dimension it is then 5 to 12 % too small. With sets of very different sizes, or tails so heavy that a few samples
    decide, it may be a quarter too small. Halves are as large as they can be, since a distance cannot fall below
    what sampling alone makes of it, and small sets, which are all near that floor, would hide their spread. They cost 2
    to 4 times what the distance itself does. The directions of ``sliced`` are the same for all halves, so the error
    of choosing them is added in squares. ``done`` is called after each of the 14 evaluations.

    References:
        Pseudo-replication: half samples (McCarthy, 1969), https://doi.org/10.2307/1402116
    """
    differences = []
    groups = _cut(x, y, seed, GROUPS)
    for signs in hadamard(GROUPS)[1:]:
        of_halves = []
        for sign in (1, -1):
            of_halves.append(method(*_joined(groups, signs == sign), seed=seed))
            done()
        differences.append(of_halves[0] - of_halves[1])
    error = math.sqrt(statistics.fmean(each**2 for each in differences)) / 2 / _shortfall(len(differences))
    return math.hypot(error, _error_of_mean(projected_distances(x, y, seed))) if method is sliced else error


def _error_by_folds(x: Floats, y: Floats, means: Means, seed: int) -> float:
    r"""The standard error of ``quadrature``.

    It has no floor and costs the most, so that 10 disjoint folds do: their squares' standard deviation over
    :math:`\sqrt{10}`, carried through the root. An error of a square is twice the distance times its error, and
    distances across folds are longer than across all samples, so it is smaller by that much.
    """
    of_folds = [across_and_within(*fold, seed) for fold in _cut(x, y, seed, FOLDS)]
    longer = statistics.fmean(across for across, *_ in of_folds)
    error = _error_of_mean([less_noise(*each) for each in of_folds]) / _shortfall(FOLDS - 1)
    error *= min(1.0, means[0] / longer) if longer else 1.0
    square = less_noise(*means)
    # Near 0 a root is steep, and further off by chance it is not: two errors away it may have been near.
    near, far = ((signed_root(square + k * error) - signed_root(square - k * error)) / (2 * k) for k in (1, 2))
    return max(near, far)


def _shortfall(freedom: int) -> float:
    """The mean of the root of so many independent normal squares' mean."""
    return math.sqrt(2 / freedom) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))


def _cut(x: Floats, y: Floats, seed: int, number: int) -> list[tuple[Floats, Floats]]:
    """Disjoint parts of both sets, in a random order in which the sets correspond."""
    sides = zip((x, y), orders(x, y, seed), strict=True)
    return list(zip(*(np.array_split(side[order], number) for side, order in sides), strict=True))


def _joined(groups: list[tuple[Floats, Floats]], chosen: Floats) -> tuple[Floats, Floats]:
    x, y = zip(*(group for group, taken in zip(groups, chosen, strict=True) if taken), strict=True)
    return np.concatenate(x), np.concatenate(y)


def _error_of_mean(values: Sequence[float] | Floats) -> float:
    return statistics.stdev(map(float, values)) / math.sqrt(len(values))


def expected_seconds(n: int, dim: int) -> float:
    """About how long quadrature of two sets (n, dim) takes on one slow core, error and null included."""
    half = n / 2
    of_halves = 2e-10 * half**3 + 9e-11 * half**2 * dim  # in two dimensions a third of that
    return 5 * of_halves  # quadrature itself is four such transports; the error's and the null's are smaller ones
