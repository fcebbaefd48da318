r"""What a penalty does to the critic: its gradient norms on the way from real to generated samples.

References:
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
    On the regularization of Wasserstein GANs (Petzka, Fischer, Lukovnikov, 2018), https://arxiv.org/abs/1709.08894
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from wgan.arrays import Floats
from wgan.constraints import Constraint, GradientPenalty, LipschitzPenalty, Unconstrained
from wgan.figures.critics import beside_noise, perceptron, trained
from wgan.figures.style import BLUE, GREY, ORANGE, blank, tidy
from wgan.objectives import Wasserstein
from wgan.slopes import gradient_norms

METHODS: Mapping[str, tuple[str, str, Constraint]] = {
    "none": ("no constraint", GREY, Unconstrained()),
    "gp": ("gradient penalty", BLUE, GradientPenalty(10.0)),
    "lp": ("one-sided penalty", ORANGE, LipschitzPenalty(10.0)),
}
STEPS, BATCH = 1000, 256
"""How the critics are trained, on swissroll and the same with noise N(0, 1)."""


@dataclass(frozen=True)
class Norms:
    """Gradient norms of each method's critic.

    Attributes:
        along: The shares of generated sample in the interpolations (T,).
        norms: By method: norms (T, N) at N interpolations for each share.
    """

    along: Floats
    norms: dict[str, Floats]

    def summary(self) -> dict[str, float]:
        """The 5th, 50th and 95th percentile of each method's norms."""
        percents = (5, 50, 95)
        return {f"{m}_{p}": float(np.percentile(n, p)) for m, n in self.norms.items() for p in percents}


def compute(seed: int = 0) -> Norms:
    """Train a critic under each constraint, and measure its gradient on fresh segments."""
    draw = beside_noise("swissroll", BATCH, seed)
    real, fake = (torch.cat(parts) for parts in zip(*(draw(STEPS + k) for k in range(8)), strict=True))
    along = np.linspace(0, 1, 21)
    norms = {}
    for name, (_, _, constraint) in METHODS.items():
        critic = trained(perceptron(2, seed), draw, Wasserstein(), constraint, steps=STEPS, seed=seed)
        rows = [gradient_norms(critic, torch.lerp(real, fake, share)).detach().double().numpy() for share in along]
        norms[name] = np.stack(rows)
    return Norms(along, norms)


def draw(numbers: Norms) -> Figure:
    """Histograms at the left, percentiles along the way at the right."""
    figure = blank(11, 4.4)
    left, right = figure.subplots(1, 2)
    bins = np.linspace(0, 1.5, 76)
    for name, (label, colour, _) in METHODS.items():
        norms = numbers.norms[name]
        beyond = float((norms > bins[-1]).mean())
        note = f": {100 * beyond:.0f} % are beyond {bins[-1]:g}" if beyond > 0.005 else ""
        left.hist(norms.ravel(), bins, histtype="stepfilled", color=colour, alpha=0.55, label=label + note)
        low, middle, high = np.percentile(norms, (5, 50, 95), axis=1)
        right.fill_between(numbers.along, low, high, color=colour, alpha=0.3, linewidth=0)
        right.plot(numbers.along, middle, color=colour, linewidth=2.2, label=label)
    left.axvline(1, color="black", linestyle=":")
    right.axhline(1, color="black", linestyle=":")
    tidy(left, "Gradient norms between real and generated", "gradient norm", "interpolated samples", xlim=(0, 1.5))
    tidy(right, "Median, 5th to 95th percentile", "from real (0) to generated (1)", "gradient norm", yscale="log")
    left.legend(frameon=False, loc="upper left")
    return figure
