r"""One bump slides away from another: six distances, and the slopes by which a generator would learn.

The bumps are Gaussians of standard deviation :math:`\sigma` on the line, as histograms of narrow bins.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from wgan.arrays import Floats
from wgan.distances.discrete import earth_mover_line, jensen_shannon, kullback_leibler, total_variation
from wgan.figures.style import BLUE, ORANGE, blank, tidy

SIGMA = 0.5
"""The bumps' standard deviation."""
BANDWIDTH = 0.5
"""The standard deviation of MMD's Gaussian kernel."""
STEP = 1e-3
"""By how much the bump is moved to measure a slope."""
TITLES = {
    "tv": "Total variation",
    "kl": "Kullback-Leibler",
    "js": "Jensen-Shannon",
    "em": "Earth mover",
    "energy": "Energy",
    "mmd": "Squared MMD, Gaussian kernel",
}


@dataclass(frozen=True)
class Distances:
    """Distances of a bump at 0 and one at ``shift``.

    Attributes:
        shift: Where the second bump is (N,).
        values: By name (tv, kl, js, em, energy, mmd): (N,).
        slopes: Their derivatives with respect to the shift, by name: (N,).
    """

    shift: Floats
    values: dict[str, Floats]
    slopes: dict[str, Floats]

    def summary(self) -> dict[str, float]:
        """The slopes where the bumps overlap (a shift of 1) and where they do not (4)."""
        at = {shift: np.abs(self.shift - shift).argmin() for shift in (1, 4)}
        return {
            f"{name}_slope_at_{shift}": float(slope[i])
            for name, slope in self.slopes.items()
            for shift, i in at.items()
        }


def compute(seed: int = 0) -> Distances:
    """Measure the distances for shifts between -5 and 5; nothing is random.

    References:
        A Kernel Two-Sample Test (Gretton et al., 2012), https://jmlr.org/papers/v13/gretton12a.html
        Energy statistics (Székely, Rizzo, 2013), https://doi.org/10.1016/j.jspi.2013.03.018
    """
    x, shift = np.arange(-400, 401) / 50, np.arange(-100, 101) / 20
    apart = np.abs(x[:, None] - x)
    kernel = np.exp(-((apart / BANDWIDTH) ** 2) / 2)
    here, before, after = (_all(x, apart, kernel, shift + step) for step in (0, -STEP, STEP))
    return Distances(shift, here, {name: (after[name] - before[name]) / (2 * STEP) for name in TITLES})


def _all(x: Floats, apart: Floats, kernel: Floats, shift: Floats) -> dict[str, Floats]:
    rows = [measure(x, apart, kernel, place) for place in shift]
    return {name: np.array([row[name] for row in rows]) for name in TITLES}


def measure(x: Floats, apart: Floats, kernel: Floats, shift: float) -> dict[str, float]:
    """The distances of a bump at 0 and one at ``shift``.

    Args:
        x: The bins' middles (K,).
        apart: Their distances (K, K).
        kernel: A positive definite function of them (K, K).
        shift: Where the second bump is.
    """
    p, q = bump(x), bump(x - shift)
    difference = p - q
    return {
        "tv": total_variation(p, q),
        "kl": kullback_leibler(p, q),
        "js": jensen_shannon(p, q),
        "em": earth_mover_line(p, q, x, x),
        "energy": max(0.0, float(-difference @ apart @ difference)) ** 0.5,
        "mmd": float(difference @ kernel @ difference),
    }


def bump(x: Floats) -> Floats:
    """The probabilities of bins around ``x`` (K,) under N(0, SIGMA^2)."""
    density = np.exp(-((x / SIGMA) ** 2) / 2)
    probabilities: Floats = density / density.sum()
    return probabilities


def draw(numbers: Distances) -> Figure:
    """A panel for each distance: its value and its slope."""
    figure = blank(11, 6.2)
    for axes, (name, title) in zip(figure.subplots(2, 3, sharex=True).flat, TITLES.items(), strict=True):
        axes.plot(numbers.shift, numbers.values[name], color=BLUE, linewidth=2.2, label="distance")
        axes.plot(numbers.shift, numbers.slopes[name], "--", color=ORANGE, linewidth=1.8, label="its slope")
        below, left = name in ("em", "energy", "mmd"), name in ("tv", "em")
        tidy(axes, title, "shift of the second bump" if below else "", "distance, slope" if left else "")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure
