"""What makes an optimizer from parameters and a learning rate: a class of PyTorch's, or Adam as WGANs need it."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)
MakeOptimizer = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
"""Makes an optimizer from parameters and a learning rate."""


def eager(kind: type[Kind]) -> type[Kind]:
    """A class of optimizers, without the import of ``torch.compile``.

    PyTorch's own import it when they are made and when they step, compiled or not, to tell the compiler to keep out of
    these methods: two seconds and 70 MB of every process that trains. Steps are never differentiable here, and such an
    optimizer is saved by its ``state_dict``, not by pickle.
    """
    kept_out = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in kept_out}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__, **methods})


EAGER_ADAM = eager(torch.optim.Adam)


@dataclass(frozen=True)
class Adam:
    """Adam, fused into one kernel. A first factor of 0 takes its momentum out, as WGANs need.

    References:
        Adam: A Method for Stochastic Optimization (Kingma, Ba, 2014), https://arxiv.org/abs/1412.6980
    """

    betas: tuple[float, float] = (0.0, 0.9)

    def __call__(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return EAGER_ADAM(parameters, lr=lr, betas=self.betas, fused=True)
