r"""The Dirac-GAN: a generator of one number, a critic of one number, and all that training can do with them.

Real data are a point at 0, generated data a point at :math:`\theta`, and the critic is :math:`f(x) = \psi x`. The only
equilibrium is :math:`\theta = \psi = 0`. Each method is a vector field: the directions in which gradient descent moves
generator and critic.

References:
    Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
    https://arxiv.org/abs/1801.04406
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit

from wgan.arrays import Floats
from wgan.figures.style import BLUE, GREEN, GREY, ORANGE, blank, tidy

Field = Callable[[Floats, Floats], tuple[Floats, Floats]]

BOUND = 0.5
"""Where clipping keeps the critic's weight."""
PENALTY, GAMMA, NOISE = 0.25, 1.0, 1.0
"""The weights of the penalties gp and lp, of r1, and the standard deviation of instance noise."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS /= WEIGHTS.sum()
"""Gauss and Hermite's quadrature of the mean over N(0, 1)."""
STEP, STEPS, START = 0.05, 2000, (1.0, 0.0)
"""Gradient descent: its learning rate, how many steps, and from which (theta, psi)."""


def wasserstein(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""Descent of :math:`L_G = -\psi\theta` in theta and of :math:`L_C = \psi\theta` in psi."""
    return psi, -theta


def gradient_penalty(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""With :math:`\lambda (|\psi| - 1)^2` in the critic's loss."""
    return psi, -theta - 2 * PENALTY * (np.abs(psi) - 1) * np.sign(psi)


def lipschitz_penalty(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""With :math:`\lambda \max(0, |\psi| - 1)^2` in the critic's loss."""
    return psi, -theta - 2 * PENALTY * np.maximum(np.abs(psi) - 1, 0) * np.sign(psi)


def wasserstein_r1(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""With :math:`\gamma \psi^2 / 2` in the critic's loss: the critic forgets, and the spiral closes."""
    return psi, -theta - GAMMA * psi


def non_saturating(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""Descent of :math:`L_G = -\log\sigma(\psi\theta)` and :math:`L_C = -\log(1 - \sigma(\psi\theta)) + \log 2`."""
    return expit(-psi * theta) * psi, -expit(psi * theta) * theta


def non_saturating_r1(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    r"""With :math:`\gamma \psi^2 / 2` in the critic's loss."""
    of_theta, of_psi = non_saturating(theta, psi)
    return of_theta, of_psi - GAMMA * psi


def instance_noise(theta: Floats, psi: Floats) -> tuple[Floats, Floats]:
    """Both points blurred by Gaussian noise, whose mean is taken by Gauss and Hermite's quadrature."""
    noise = NOISE * NODES
    fake = np.asarray(theta)[..., None] + noise
    slope = np.asarray(psi)[..., None]
    of_psi = expit(-slope * noise) * noise - expit(slope * fake) * fake
    return psi * (expit(-slope * fake) @ WEIGHTS), of_psi @ WEIGHTS


METHODS: Mapping[str, tuple[str, Field, float]] = {
    "wgan": ("WGAN, no constraint", wasserstein, inf),
    "clip": (f"WGAN, clipping to ±{BOUND:g}", wasserstein, BOUND),
    "gp": ("WGAN, gradient penalty", gradient_penalty, inf),
    "lp": ("WGAN, one-sided penalty", lipschitz_penalty, inf),
    "wgan_r1": ("WGAN, R1", wasserstein_r1, inf),
    "ns": ("non-saturating", non_saturating, inf),
    "ns_r1": ("non-saturating, R1", non_saturating_r1, inf),
    "ns_noise": ("non-sat., instance noise", instance_noise, inf),
}
"""Name -> title, vector field and the bound to which the critic's weight is clipped."""


@dataclass(frozen=True)
class Paths:
    """Where training goes, by method.

    Attributes:
        paths: Theta and psi after each step (STEPS + 1, 2).
        fields: Directions (2, 15, 15) at the points of ``grid``.
        grid: Theta and psi (2, 15, 15).
    """

    paths: dict[str, Floats]
    fields: dict[str, Floats]
    grid: Floats

    def summary(self) -> dict[str, float]:
        """How far the generator still strays from the data: the largest |theta| of the last fifth of the steps."""
        return {name: float(np.abs(path[-STEPS // 5 :, 0]).max()) for name, path in self.paths.items()}


def compute(seed: int = 0) -> Paths:
    """Follow every method from the same start; nothing is random."""
    grid = np.stack(np.meshgrid(np.linspace(-1.4, 1.4, 15), np.linspace(-1.4, 1.4, 15)))
    fields = {name: np.stack(field(*grid)) for name, (_, field, _) in METHODS.items()}
    return Paths({name: descend(field, bound) for name, (_, field, bound) in METHODS.items()}, fields, grid)


def descend(field: Field, bound: float) -> Floats:
    """Alternate gradient steps, the critic first, as a trainer does: theta and psi (STEPS + 1, 2)."""
    path = np.empty((STEPS + 1, 2))
    path[0] = theta, psi = np.array(START)
    for step in range(1, STEPS + 1):
        psi = np.clip(psi + STEP * field(theta, psi)[1], -bound, bound)
        theta = theta + STEP * field(theta, psi)[0]
        path[step] = theta, psi
    return path


def draw(numbers: Paths) -> Figure:
    """A panel for each method: its arrows, its path, and the equilibrium."""
    figure = blank(12, 6.8)
    for axes, (name, (title, _, bound)) in zip(figure.subplots(2, 4).flat, METHODS.items(), strict=True):
        _panel(axes, numbers, name, bound)
        stray = numbers.summary()[name]
        verdict = "converges" if stray < 1e-3 else f"still {stray:.2g} away"
        tidy(axes, title, r"generator $\theta$", r"critic $\psi$", aspect="equal", xlim=(-1.5, 1.5), ylim=(-1.9, 1.5))
        axes.text(-1.42, -1.8, verdict)  # below the arrows
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, numbers: Paths, name: str, bound: float) -> None:
    field, path = numbers.fields[name], numbers.paths[name]
    field = field / np.maximum(np.hypot(*field), 1e-9)
    allowed = np.abs(numbers.grid[1]) <= bound
    axes.quiver(*numbers.grid[:, allowed], *field[:, allowed], color=GREY, alpha=0.55, width=0.006, scale=22)
    if bound < inf:
        for side in (-1, 1):
            axes.axhspan(side * bound, side * 1.5, color=GREY, alpha=0.18, linewidth=0)
    axes.plot(*path.T, color=BLUE, linewidth=1.3, label="training")
    axes.plot(*path[0], "o", color=GREEN, ms=7, label="start")
    axes.plot(*path[-1], "s", color=ORANGE, ms=6, label="end")
    axes.plot(0, 0, "*", color="black", ms=10, label="equilibrium")
