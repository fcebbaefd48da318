"""The exponential moving average of a generator's weights and buffers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average:
    r"""An average of a module, with a half-life in samples that is ramped up at the start.

    After a step that showed :math:`b` samples, :math:`\bar w \leftarrow \beta \bar w + (1 - \beta) w` with
    :math:`\beta = 2^{-b / h}` and :math:`h = \min(\text{half-life}, \text{samples so far} / 20)`, so that the first
    weights are forgotten quickly.

    References:
        Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
        https://arxiv.org/abs/2206.00364, whose ramp-up this is.

    Args:
        module: What to average; the average starts as a copy of it.
        half_life: In samples; 0 follows the module without averaging.
    """

    def __init__(self, module: nn.Module, half_life: float) -> None:
        self.half_life = half_life
        self._beta = 0.0
        self._averaged = AveragedModel(module, multi_avg_fn=self._blend, use_buffers=True)
        self.module: nn.Module = self._averaged.module
        self.module.eval().requires_grad_(False)

    def update(self, module: nn.Module, samples: int, step: int) -> None:
        """Take in the module after ``samples`` samples in all, ``step`` of them since the last update."""
        half_life = min(self.half_life, samples / 20)
        self._beta = 0.5 ** (step / half_life) if half_life > 0 else 0.0
        self._averaged.update_parameters(module)

    def state(self) -> dict[str, Tensor]:
        """The average's weights and buffers, and how many updates it has seen."""
        return {**self.module.state_dict(), "n_averaged": self._averaged.n_averaged}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state."""
        self._averaged.n_averaged.copy_(state["n_averaged"])
        self.module.load_state_dict({k: v for k, v in state.items() if k != "n_averaged"})

    @torch.no_grad()
    def _blend(self, averages: Any, values: Any, _: Any) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - self._beta)
        else:  # counters, such as batch norm's, have no average
            torch._foreach_copy_(averages, values)
