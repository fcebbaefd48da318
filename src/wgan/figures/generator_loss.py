r"""The generator's gradient while the discriminator gets better: :math:`\log(1 - D)` vanishes, :math:`-\log D` grows.

Real samples are the ring; generated ones a ring half as large, which touches it nowhere. The generator stands still.
Instance noise makes the two overlap.

References:
    Towards Principled Methods for Training Generative Adversarial Networks (Arjovsky, Bottou, 2017), figures 2 and 3,
    https://arxiv.org/abs/1701.04862
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from wgan.arrays import Floats
from wgan.constraints import Constraint, LipschitzPenalty, Unconstrained
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.figures.critics import Draw, perceptron, train
from wgan.figures.style import BLUE, GREEN, GREY, ORANGE, blank, tidy
from wgan.objectives import Minimax, NonSaturating, Objective, Wasserstein
from wgan.seeds import rng

STEPS, BATCH, EVERY = 1000, 256, 20
"""Critic steps, samples in a batch, and how often gradients are measured."""
NOISE = 0.5
"""The standard deviation of instance noise."""
METHODS: Mapping[str, tuple[str, str, str, Objective]] = {
    "minimax": (r"$\log(1 - D)$", ORANGE, "discriminator", Minimax()),
    "non_saturating": (r"$-\log D$", GREEN, "discriminator", NonSaturating()),
    "noisy": (r"$\log(1 - D)$, instance noise", GREY, "noisy discriminator", Minimax()),
    "wasserstein": (r"$-f$, one-sided penalty", BLUE, "critic", Wasserstein()),
}
"""Name -> label, colour, who is trained, and the generator's loss."""
TRAINED: Mapping[str, tuple[Objective, Constraint, float]] = {
    "discriminator": (Minimax(), Unconstrained(), 0.0),
    "noisy discriminator": (Minimax(), Unconstrained(), NOISE),
    "critic": (Wasserstein(), LipschitzPenalty(10.0), 0.0),
}
"""Who is trained -> its loss, its constraint and the instance noise."""


@dataclass(frozen=True)
class Gradients:
    """Mean norms of the gradient that generated samples get.

    Attributes:
        steps: How long the discriminator was trained (N,).
        norms: By method: mean norms (N,).
    """

    steps: Floats
    norms: dict[str, Floats]

    def summary(self) -> dict[str, float]:
        """The mean norms at the first and at the last step."""
        return {f"{m}_{when}": float(n[i]) for m, n in self.norms.items() for when, i in (("first", 0), ("last", -1))}


def compute(seed: int = 0) -> Gradients:
    """Train each discriminator against the generator that stands still, and measure now and then."""
    norms: dict[str, list[float]] = {name: [] for name in METHODS}
    for who, (objective, constraint, noise) in TRAINED.items():
        draw, network = two_rings(seed, noise), perceptron(2, seed)
        fake = draw(STEPS)[1]
        for step in train(network, draw, objective, constraint, steps=STEPS, seed=seed):
            if step % EVERY == 0:
                for name in (name for name, (_, _, trained, _) in METHODS.items() if trained == who):
                    norms[name].append(sample_gradient(network, METHODS[name][3], fake))
    return Gradients(np.arange(0.0, STEPS + 1, EVERY), {name: np.array(values) for name, values in norms.items()})


def two_rings(seed: int, noise: float) -> Draw:
    """Batches of the ring, and of a ring half as large, both with Gaussian noise."""
    batches = Batches(open_data("ring").train, BATCH, seed)

    def draw(k: int) -> tuple[Tensor, Tensor]:
        added = noise * torch.randn(2, BATCH, 2, generator=rng(seed, "noise", k))
        return batches[2 * k] + added[0], batches[2 * k + 1] / 2 + added[1]

    return draw


def sample_gradient(critic: nn.Module, objective: Objective, fake: Tensor) -> float:
    """The mean over samples (N, D) of the norm of the generator's loss's gradient at each of them."""
    fake = fake.detach().double().requires_grad_()
    loss = len(fake) * objective.generator_loss(critic.double()(fake))
    (gradient,) = torch.autograd.grad(loss, fake)
    critic.float()
    return float(gradient.norm(dim=1).mean())


def draw(numbers: Gradients) -> Figure:
    """The mean norms against the discriminator's steps."""
    figure = blank(8.5, 4.8)
    axes = figure.subplots()
    for name, (label, colour, _, _) in METHODS.items():
        axes.semilogy(numbers.steps, numbers.norms[name], color=colour, linewidth=2.2, label=label)
    words = ("discriminator steps, the generator stands still", "mean gradient norm at generated samples")
    tidy(axes, "The better the discriminator, the less log(1 - D) teaches", *words, xlim=(0, STEPS))
    axes.legend(frameon=False, title="generator's loss", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
