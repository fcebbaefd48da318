"""The exponential moving average of a generator's weights and running statistics."""

import torch
from torch import Tensor, nn

from wgan.networks.base import detached_copy
from wgan.parallel import running_statistics


class Average:
    r"""An average of a module, with a half-life in samples that is ramped up at the start.

    After a step that showed :math:`b` samples, :math:`\bar w \leftarrow \beta \bar w + (1 - \beta) w` with
    :math:`\beta = 2^{-b / h}` and :math:`h = \min(\text{half-life}, \text{samples so far} / 20)`, so that the first
    weights are forgotten quickly. That goes for weights and norms' running statistics. All other buffers are the
    module's last: a mean of counters, or of spectral norm's unit vectors, would be something else.

    References:
        Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022),
        https://arxiv.org/abs/2206.00364, whose ramp-up this is.

    Args:
        module: What to average; the average starts as a copy of it.
        half_life: In samples; 0 follows the module without averaging.
    """

    def __init__(self, module: nn.Module, half_life: float) -> None:
        self.half_life = half_life
        self.module = detached_copy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, samples: int, new: int) -> None:
        """Take in the module after ``samples`` samples in all, ``new`` of them since the last update."""
        half_life = min(self.half_life, samples / 20)
        beta = 0.5 ** (new / half_life) if half_life > 0 else 0.0
        (means, copies), (values, others) = _split(self.module), _split(module)
        torch._foreach_lerp_(means, values, 1 - beta)
        for copied, value in zip(copies, others, strict=True):
            copied.copy_(value)


def _split(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What has an average, and what is copied."""
    means = [tensor for tensor in (*module.parameters(), *running_statistics(module)) if tensor.is_floating_point()]
    known = set(map(id, means))
    return means, [tensor for tensor in (*module.parameters(), *module.buffers()) if id(tensor) not in known]
