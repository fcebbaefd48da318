"""One step of a critic alone, against samples that stand still: what figures and measurements train it by."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wgan.constraints import Constraint, with_penalties


def descend(
    critic: nn.Module,
    constraint: Constraint,
    optimizers: Sequence[Optimizer],
    loss: Tensor,
    real: Tensor,
    fake: Tensor,
    taken: int,
    rng: torch.Generator,
) -> None:
    """Take one step of a critic.

    Args:
        critic: Prepared by the constraint.
        constraint: Adds its penalty to the loss, and brings the weights back afterwards.
        optimizers: Of all its weights.
        loss: Of the critic's scores of these samples.
        real: Samples (N, ...).
        fake: The same.
        taken: Steps so far.
        rng: What the penalties' random points depend on.
    """

    def penalty(_: int, part: Constraint) -> Tensor:
        return part.penalty(critic, real, fake, torch.rand(len(real), device="cpu", dtype=torch.float32, generator=rng))

    total, _ = with_penalties(loss, constraint, taken, penalty)
    for optimizer in optimizers:
        optimizer.zero_grad()
    total.backward()
    for optimizer in optimizers:
        optimizer.step()
    constraint.project(critic)
