"""The one all-reduce of a step."""

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn

from wgan.parallel.group import Group

SCALARS = 2
"""Room for a step's losses in its all-reduce: the critic's and its penalty."""


@final
class GradientAllReduce:
    """What a step brings to its mean over all processes, in one flat all-reduce.

    Args:
        group: The processes.
        parameters: Whose gradients to average, in place.
        networks: In which to average the running statistics of batch norm.
    """

    def __init__(self, group: Group, parameters: Sequence[nn.Parameter], networks: Sequence[nn.Module] = ()) -> None:
        self.group, self.parameters = group, parameters
        if group.size == 1:
            return
        self.statistics = [statistic for network in networks for statistic in running_statistics(network)]
        like = [*parameters, *self.statistics]
        dtype = max((tensor.dtype for tensor in like), key=lambda dtype: torch.finfo(dtype).bits)
        self.flat = torch.empty(sum(tensor.numel() for tensor in like) + SCALARS, dtype=dtype, device=like[0].device)
        parts = self.flat.split([*(tensor.numel() for tensor in like), SCALARS])
        # In the weights' own memory format, so that copying is a plain copy and the optimizer finds what it expects.
        shaped = [
            part.as_strided(tensor.shape, torch.empty_like(tensor).stride())
            for part, tensor in zip(parts, like, strict=False)
        ]
        self.gradients, self.means = shaped[: len(parameters)], shaped[len(parameters) :]
        self.scalars = parts[-1]

    @torch.no_grad()
    def __call__(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Average the gradients and statistics where they are, and these scalars.

        A parameter without a gradient counts as one whose gradient is zero.

        Args:
            *values: The scalars, at most two.

        Raises:
            LostError: A process is gone.
        """
        if self.group.size == 1:
            return values
        given = [weight.grad for weight in self.parameters]
        torch._foreach_copy_(
            [*self.gradients, *self.means],
            [
                *(torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, given, strict=True)),
                *self.statistics,
            ],
        )
        for place, value in zip(self.scalars.zero_(), values, strict=False):
            place.copy_(value)
        self.group.all_mean(self.flat)
        for weight, gradient in zip(self.parameters, self.gradients, strict=True):
            weight.grad = gradient.to(weight.dtype)
        if self.statistics:
            torch._foreach_copy_(self.statistics, self.means)
        return tuple(self.scalars[number].to(value) for number, value in enumerate(values))


def running_statistics(network: nn.Module) -> Iterator[Tensor]:
    """The means and variances that norm layers keep for evaluation."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
            assert module.running_var is not None
            yield from (module.running_mean, module.running_var)
