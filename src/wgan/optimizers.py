"""What makes an optimizer from parameters and a learning rate: a class of PyTorch's, or Adam as WGANs need it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

MakeOptimizer = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
"""Makes an optimizer from parameters and a learning rate."""


@dataclass(frozen=True)
class Adam:
    """Adam, fused into one kernel. A first factor of 0 takes its momentum out, as WGANs need.

    References:
        Adam: A Method for Stochastic Optimization (Kingma, Ba, 2014), https://arxiv.org/abs/1412.6980
    """

    betas: tuple[float, float] = (0.0, 0.9)

    def __call__(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=lr, betas=self.betas, fused=True)
