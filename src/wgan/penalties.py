r"""The pieces of a gradient penalty: the norm of the critic's gradient, where to look, and how to punish.

The norm is :math:`n = \|\nabla_x f(x)\|_2`, with respect to the critic's *input* and one for each sample.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wgan.slopes import input_gradient


def gradient_norms(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    r"""The norm of the critic's input gradient at each sample, in a graph that reaches the critic's weights.

    Args:
        critic: Scores of samples, each depending on its own sample only.
        x: Samples (N, ...).

    Returns:
        Norms (N,), in float32 or wider; :math:`\sqrt{\cdot + 10^{-12}}` keeps their gradient finite at 0.
        Under ``torch.no_grad`` they have no graph, which is cheaper.
    """
    flat = input_gradient(critic, x).flatten(1)
    return (flat if flat.dtype == torch.float64 else flat.float()).square().sum(1).add(1e-12).sqrt()


def segments(real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
    """A point on the segment between each real sample and its generated one; (N, ...) in all.

    Args:
        real: Samples (N, ...).
        fake: The same.
        between: Which point, (N,): 0 is the real sample, 1 the generated one.
    """
    return torch.lerp(real, fake, between.to(real).view(-1, *[1] * (real.dim() - 1)))


def at_real(real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
    """The real samples."""
    return real


def at_fake(real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
    """The generated samples."""
    return fake


def two_sided(norm: Tensor) -> Tensor:
    r""":math:`(n - 1)^2`."""
    return (norm - 1).square()


def one_sided(norm: Tensor) -> Tensor:
    r""":math:`\max(0, n - 1)^2`."""
    return (norm - 1).clamp(min=0).square()


def half_square(norm: Tensor) -> Tensor:
    r""":math:`n^2 / 2`."""
    return norm.square() / 2
