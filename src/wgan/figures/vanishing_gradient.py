r"""Two Gaussians far apart: the best discriminator is sure of itself and flat, a trained critic is a slope.

The discriminator is the optimal one in closed form, :math:`D = p / (p + q)`. The critic is a perceptron trained under
the one-sided gradient penalty.

References:
    Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), figure 2, https://arxiv.org/abs/1701.07875
"""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import expit
from scipy.stats import norm

from wgan.arrays import Floats
from wgan.constraints import LipschitzPenalty
from wgan.figures.critics import perceptron, trained
from wgan.figures.style import BLUE, GREEN, GREY, ORANGE, blank, tidy
from wgan.objectives import Wasserstein
from wgan.seeds import rng

REAL, FAKE, SIGMA = -2.0, 3.0, 0.7
"""The means of real and generated samples, and the standard deviation of both."""
WEIGHT, STEPS, BATCH = 100.0, 1000, 256
"""How the critic is trained."""


@dataclass(frozen=True)
class Scores:
    """What both say on the line.

    Attributes:
        x: Places (N,).
        discriminator: The probability of being real there (N,).
        critic: The critic's score there (N,).
        minimax: The size of the gradient of log(1 - D) there (N,).
        slope: The size of the gradient of the critic there (N,).
        estimate: The difference of the critic's mean scores, over both densities.
    """

    x: Floats
    discriminator: Floats
    critic: Floats
    minimax: Floats
    slope: Floats
    estimate: float

    def summary(self) -> dict[str, float]:
        """Gradients at the mean of the generated samples, the critic's slope between the means, and W1."""
        there, between = np.abs(self.x - FAKE).argmin(), (self.x > REAL) & (self.x < FAKE)
        return {
            "minimax_gradient": float(self.minimax[there]),
            "critic_gradient": float(self.slope[there]),
            "critic_slope_least": float(self.slope[between].min()),
            "critic_slope_most": float(self.slope[between].max()),
            "estimate": self.estimate,
            "w1": FAKE - REAL,
        }


def compute(seed: int = 0) -> Scores:
    """Train the critic, and ask both along the line."""

    def batch(k: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = SIGMA * torch.randn(2, BATCH, 1, generator=rng(seed, "batch", k))
        return REAL + noise[0], FAKE + noise[1]

    network = perceptron(1, seed)
    critic = trained(network, batch, Wasserstein(), LipschitzPenalty(WEIGHT), steps=STEPS, seed=seed)
    x = np.linspace(-6, 7, 1301)
    scores = critic(torch.from_numpy(x).float()[:, None]).detach().double().numpy()
    logit = ((x - FAKE) ** 2 - (x - REAL) ** 2) / (2 * SIGMA**2)
    p, q = norm.pdf(x, REAL, SIGMA), norm.pdf(x, FAKE, SIGMA)
    return Scores(
        x,
        expit(logit),
        scores - scores[np.abs(x - FAKE).argmin()],
        expit(logit) * (FAKE - REAL) / SIGMA**2,
        np.abs(np.gradient(scores, x)),
        float(scores @ p / p.sum() - scores @ q / q.sum()),
    )


def draw(numbers: Scores) -> Figure:
    """Scores and densities at the left, gradients at the right."""
    figure = blank(11, 4.4)
    left, right = figure.subplots(1, 2)
    for mean, colour, label in ((REAL, GREY, "real samples"), (FAKE, GREEN, "generated samples")):
        density = norm.pdf(numbers.x, mean, SIGMA)
        left.fill_between(numbers.x, density, color=colour, alpha=0.4, linewidth=0, label=label)
    left.plot(numbers.x, numbers.discriminator, color=ORANGE, linewidth=2.2, label="optimal discriminator D")
    left.plot(numbers.x, numbers.critic, color=BLUE, linewidth=2.2, label="trained critic f")
    tidy(left, "Scores", "x", "density, D(x), f(x)", xlim=(-6, 7))
    right.semilogy(numbers.x, numbers.minimax, color=ORANGE, linewidth=2.2, label=r"$|\,\partial_x \log(1 - D)\,|$")
    right.semilogy(numbers.x, numbers.slope, color=BLUE, linewidth=2.2, label=r"$|\,\partial_x f\,|$")
    right.axvspan(FAKE - 2 * SIGMA, FAKE + 2 * SIGMA, color=GREEN, alpha=0.2, linewidth=0, label="generated samples")
    tidy(right, "What the generator learns from", "x", "size of the gradient", xlim=(-6, 7), ylim=(1e-12, 1e3))
    left.legend(frameon=False, fontsize=9)
    right.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
