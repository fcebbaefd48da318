"""The exponential moving average of a generator's weights and buffers."""

import torch
from torch import Tensor, nn

from wgan.networks.base import twin


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
        self.module = twin(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, samples: int, step: int) -> None:
        """Take in the module after ``samples`` samples in all, ``step`` of them since the last update."""
        half_life = min(self.half_life, samples / 20)
        beta = 0.5 ** (step / half_life) if half_life > 0 else 0.0
        pairs = list(zip(_tensors(self.module), _tensors(module), strict=True))
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in numbers], [value for _, value in numbers], 1 - beta)
        for mean, value in pairs:
            if not mean.is_floating_point():  # counters, such as batch norm's, have no average
                mean.copy_(value)

    def state(self) -> dict[str, Tensor]:
        """The average's weights and buffers."""
        return self.module.state_dict()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state; older ones have a count besides."""
        self.module.load_state_dict({name: value for name, value in state.items() if name != "n_averaged"})


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
