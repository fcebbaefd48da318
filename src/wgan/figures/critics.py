"""Critics trained against a generator that stands still: the critic's half of :class:`wgan.trainer.Trainer`."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from wgan.constraints import Constraint
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.descent import descend
from wgan.networks import mlp
from wgan.objectives import Objective
from wgan.optimizers import Adam
from wgan.schedule import Rates
from wgan.seeds import rng, seeded

Draw = Callable[[int], tuple[Tensor, Tensor]]
"""The k-th batch: real and generated samples, both (N, D)."""


def perceptron(dimension: int, seed: int, width: int = 64, depth: int = 3) -> nn.Module:
    """A critic of vectors (N, D) with hidden layers of ReLUs."""
    with seeded(seed, "weights"):
        return mlp.critic((dimension,), width=width, depth=depth, activation="relu")


def train(
    critic: nn.Module,
    draw: Draw,
    objective: Objective,
    constraint: Constraint,
    *,
    steps: int,
    lr: float = 1e-3,
    seed: int = 0,
) -> Iterator[int]:
    """Train a critic in place; gives the number of steps done, before the first and after each.

    Args:
        critic: Samples (N, D) to scores (N,); already prepared by the constraint.
        draw: The k-th batch.
        objective: Scores to the critic's loss.
        constraint: What keeps the critic Lipschitz.
        steps: How many steps of Adam.
        lr: The first learning rate; it falls to 0 in a straight line.
        seed: What the constraint's random choices depend on.
    """
    optimizer = Adam((0.0, 0.9))(critic.parameters(), lr)
    rates = Rates(optimizer)
    yield 0
    for step in range(steps):
        rates.scale(1 - step / steps)
        real, fake = draw(step)
        loss = objective.critic_loss(*critic(torch.cat([real, fake])).split(len(real)))
        descend(critic, constraint, [optimizer], loss, real, fake, step, rng(seed, "penalty", step))
        yield step + 1


def trained(critic: nn.Module, *given: Any, **settings: Any) -> nn.Module:
    """The critic after all steps of :func:`train`, which takes the same arguments."""
    for _ in train(critic, *given, **settings):
        pass
    return critic


def beside_noise(name: str, batch: int, seed: int) -> Draw:
    """Batches of a toy, and as generated ones other samples of it with noise N(0, 1) added, as Gulrajani et al. do."""
    batches = Batches(open_data(name).train, batch, seed)

    def draw(k: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(batch, 2, generator=rng(seed, "noise", k))
        return batches[2 * k], batches[2 * k + 1] + noise

    return draw
