"""Muon, the optimizer of the free critic's matrices, in float32.

``torch.optim.Muon`` multiplies in bfloat16, which takes tens of times as long as in float32 on processors without it.
"""

from collections.abc import Iterable
from math import sqrt

import torch
from torch import Tensor, nn

from wgan.optimizers import eager

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial in :func:`orthogonalised`: the steepest at 0 that keeps larger values between about 0.7 and 1.2."""

ITERATIONS = 5


@eager
class Muon(torch.optim.Optimizer):
    r"""Moves each matrix along the orthogonal matrix that is nearly the nearest to its averaged gradient.

    .. math::
        B_t = \mu B_{t-1} + (1 - \mu) G_t, \qquad
        W_t = W_{t-1} - \eta \sqrt{\max(1, M / N)} \; \mathrm{orthogonalised}(\mu B_t + (1 - \mu) G_t)

    from :math:`B_0 = 0`, so that a step is as long in all directions, also in those in which gradients are small.

    References:
        Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024),
        https://kellerjordan.github.io/posts/muon/

    Args:
        parameters: Matrices (M, N).
        lr: :math:`\eta`, the length of a step in each direction.
        momentum: :math:`\mu`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # nothing here evaluates a closure
        """Move all matrices that have a gradient."""
        for group in self.param_groups:
            momentum = group["momentum"]
            for weight in group["params"]:
                if weight.grad is not None:
                    if not self.state[weight]:
                        self.state[weight]["mean"] = torch.zeros_like(weight)
                    mean = self.state[weight]["mean"]
                    mean.lerp_(weight.grad, 1 - momentum)
                    rows, columns = weight.shape
                    step = group["lr"] * sqrt(max(1.0, rows / columns))
                    weight.sub_(orthogonalised(weight.grad.lerp(mean, momentum)), alpha=step)


def orthogonalised(matrix: Tensor) -> Tensor:
    r"""A matrix with the same singular vectors, whose singular values are all near 1.

    .. math:: X \leftarrow a X + b \, X X^\top X + c \, (X X^\top)^2 X

    five times, beginning with the matrix over its Frobenius norm, of which values down to a five-hundredth come near 1.

    Args:
        matrix: (M, N).

    Returns:
        (M, N).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / torch.linalg.vector_norm(x).clamp(min=torch.finfo(x.dtype).tiny)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
