"""Transport made smooth by an entropy, and less prone to follow the samples' noise."""

from typing import Any

import numpy as np
from scipy.optimize import minimize

from wgan.distances.memory import demand_pairs
from wgan.distances.samples import Array, checked, squared_distances
from wgan.errors import WganError

SMOOTHING = 0.1
"""The entropy's weight, as a share of the mean distance between the two sets."""

BYTES = 40  # for each pair of samples
_NEARLY = 0.1
_TOLERANCE = 3e-4
_MOST_STEPS = 400
_MOST_OF_SOLVER = 5000


def sinkhorn(x: Any, y: Any, *, seed: int = 0) -> float:
    r"""The Sinkhorn divergence: entropic transport, less what it costs from each set to itself.

    .. math:: \mathrm{OT}_\varepsilon(x, y) - \tfrac12 \mathrm{OT}_\varepsilon(x, x)
            - \tfrac12 \mathrm{OT}_\varepsilon(y, y), \qquad
        \mathrm{OT}_\varepsilon =
            \min_\pi \sum_{ij} \pi_{ij} \|x_i - y_j\| + \varepsilon \, \mathrm{KL}(\pi \| a b^\top)

    With :math:`\varepsilon` a tenth of the mean distance between the sets; it lies between :math:`W_1`
    (:math:`\varepsilon \to 0`) and half the squared energy distance (:math:`\varepsilon \to \infty`).

    References:
        Interpolating between Optimal Transport and MMD using Sinkhorn Divergences (Feydy et al., 2019),
        https://arxiv.org/abs/1810.08278

    Args:
        x: Samples (N, D).
        y: Samples (M, D).
        seed: Not used.

    Returns:
        The divergence, in the units of the samples.

    Raises:
        UsageError: The samples do not suit each other.
        WganError: The matrix of distances does not fit into memory, or the potentials do not settle.
    """
    x, y = checked(x, y)
    largest = max(len(x), len(y))
    demand_pairs(largest, largest, BYTES, "entropic transport")
    across = np.sqrt(squared_distances(x, y))
    smoothing = SMOOTHING * float(across.mean())
    if smoothing == 0:
        return 0.0
    within = (entropic_cost(np.sqrt(squared_distances(side, side)), smoothing) for side in (x, y))
    return entropic_cost(across, smoothing) - sum(within) / 2


def entropic_cost(cost: Array, smoothing: float) -> float:
    r""":math:`\mathrm{OT}_\varepsilon` of uniform weights from the cost (N, M), by its dual.

    The two potentials move half-way to their best answer to each other, at once, so that a set and itself are
    symmetric and settle in a few steps; the smoothing is halved from the largest cost down to what was asked, each
    time that they have nearly settled, else samples far out would never get there. They have settled when they move by
    little in the mean, which is what the cost is. Groups of samples that are far apart and not of the same masses on
    both sides take for ever in this way; a quasi-Newton method goes on from there.
    """
    f, g, transposed = np.zeros(len(cost)), np.zeros(cost.shape[1]), np.ascontiguousarray(cost.T)
    epsilon = max(float(cost.max()), smoothing)
    for _ in range(_MOST_STEPS):
        answers = _answer(cost, g, epsilon), _answer(transposed, f, epsilon)
        moved = max(np.abs(answers[0] - f).mean(), np.abs(answers[1] - g).mean())
        f, g = (f + answers[0]) / 2, (g + answers[1]) / 2
        if epsilon == smoothing and moved < _TOLERANCE * smoothing:
            return float(_answer(cost, g, smoothing).mean() + _answer(transposed, f, smoothing).mean())
        if moved < _NEARLY * epsilon:
            epsilon = max(epsilon / 2, smoothing)
    return _settled(cost, transposed, g, smoothing)


def _settled(cost: Array, transposed: Array, start: Array, smoothing: float) -> float:
    """The largest value of the dual, which is concave in one side's potential where the other is the answer to it."""

    def loss(g: Array) -> tuple[float, Array]:
        f = _answer(cost, g, smoothing)
        received = np.exp((g - _answer(transposed, f, smoothing)) / smoothing)  # by each, of what it should get
        return -float(f.mean() + g.mean()), (received - 1) / len(g)

    limits = {"maxiter": _MOST_OF_SOLVER, "maxfun": _MOST_OF_SOLVER, "ftol": 1e-14, "gtol": 1e-4 / len(start)}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=limits)
    if not found.success:
        raise WganError("entropic transport does not settle for these samples; use --method exact.")
    return -float(found.fun)


def _answer(cost: Array, g: Array, epsilon: float) -> Array:
    """The best potential (N,) for a cost (N, M) given the other side's (M,): a soft minimum of cost - g."""
    scaled = (g - cost) / epsilon
    top = scaled.max(1)
    scaled -= top[:, None]
    np.exp(scaled, out=scaled)
    answer: Array = -epsilon * (top + np.log(scaled.mean(1)))
    return answer
