"""The optimizers of the papers, as small recipes that make one from parameters and a learning rate."""

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


@dataclass(frozen=True)
class RMSprop:
    """RMSprop without momentum, the choice of the first WGAN.

    References:
        Neural Networks for Machine Learning, lecture 6e (Tieleman, Hinton, 2012),
        https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
    """

    def __call__(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=lr)
