r"""Learning parallel lines: what the distances say while two distributions never touch.

:math:`P_0` is the law of :math:`(0, Z)` and :math:`P_\theta` of :math:`(\theta, Z)`, with Z uniform on [0, 1]. Whatever
:math:`\theta \ne 0`, the two have no point in common.

References:
    Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), example 1 and figure 1, https://arxiv.org/abs/1701.07875
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

from wgan.arrays import Floats
from wgan.distances.discrete import earth_mover, jensen_shannon, kullback_leibler, total_variation
from wgan.figures.style import BLUE, GREEN, ORANGE, PURPLE, blank, tidy

POINTS = 32
"""How many points stand for a line."""
SHOWN = (0.0, 0.05, 1.0)
"""The places of the second line that the summary has."""


@dataclass(frozen=True)
class Lines:
    """Distances of the two lines.

    Attributes:
        theta: Where the second line is (N,).
        distances: By name (tv, kl, js, em): (N,), in nats or in units of length.
    """

    theta: Floats
    distances: dict[str, Floats]

    def summary(self) -> dict[str, float | str]:
        """Each distance where the lines are one, where they are close and where they are far."""
        at = {theta: np.abs(self.theta - theta).argmin() for theta in SHOWN}
        values = {f"{name}_at_{theta:g}": float(d[i]) for name, d in self.distances.items() for theta, i in at.items()}
        return {name: value if np.isfinite(value) else "infinite" for name, value in values.items()}


def compute(seed: int = 0) -> Lines:
    """Measure the distances for 41 places of the second line; nothing is random."""
    theta = np.linspace(-1, 1, 41)
    z = (np.arange(POINTS) + 0.5) / POINTS
    rows = [measure(np.column_stack([0 * z, z]), np.column_stack([0 * z + place, z])) for place in theta]
    return Lines(theta, {name: np.array([row[name] for row in rows]) for name in rows[0]})


def measure(x: Floats, y: Floats) -> dict[str, float]:
    """The distances of two sets of points (N, D), each point with the same weight."""
    points, index = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    p, q = (np.bincount(side, minlength=len(points)) / len(side) for side in (index[: len(x)], index[len(x) :]))
    return {
        "tv": total_variation(p, q),
        "kl": kullback_leibler(p, q),
        "js": jensen_shannon(p, q),
        "em": earth_mover(p, q, cdist(points, points)),
    }


def draw(numbers: Lines) -> Figure:
    """The two lines, and their distances against where the second one is."""
    figure = blank(11, 4.4)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    left.plot([0, 0], [0, 1], color=BLUE, linewidth=4)
    left.plot([0.6, 0.6], [0, 1], color=ORANGE, linewidth=4)
    left.annotate("", (0.57, 0.5), (0.03, 0.5), arrowprops={"arrowstyle": "<->", "linewidth": 1.4})
    left.text(0.3, 0.54, r"$\theta$", ha="center", fontsize=14)
    left.text(0, 1.04, "$P_0$", ha="center", fontsize=13, color=BLUE)
    left.text(0.6, 1.04, r"$P_\theta$", ha="center", fontsize=13, color=ORANGE)
    tidy(left, "Two lines", "x", "y", xlim=(-0.5, 1.1), ylim=(-0.1, 1.2))
    theta, off = numbers.theta, numbers.theta != 0
    infinite = np.where(np.isinf(numbers.distances["kl"]), 1.2, 0.0)
    series = {"KL: infinite": infinite, "TV: 1": numbers.distances["tv"], "JS: log 2": numbers.distances["js"]}
    for (label, value), marker, colour in zip(series.items(), "^os", (PURPLE, GREEN, ORANGE), strict=True):
        right.plot(theta[off], value[off], marker, color=colour, ms=4.5, label=label + r" for $\theta \ne 0$")
    right.plot(theta, numbers.distances["em"], color=BLUE, linewidth=2.4, label=r"EM: $|\theta|$")
    right.plot(0, 0, "o", color="black", ms=7, label=r"all: 0 for $\theta = 0$")
    tidy(right, "Only the earth mover's distance (EM) knows the way", r"$\theta$", "distance", ylim=(-0.06, 1.28))
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
