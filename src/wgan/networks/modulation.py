r"""Norms whose gains are computed from the latent, so that all stages of a generator see it and not the first alone.

After a norm without gains and biases, channel c is :math:`y_c = (1 + \langle a_c, z \rangle + d_c) \hat x_c + b_c`,
with learnt :math:`a_c`, :math:`d_c` and :math:`b_c`.

References:
    On Self Modulation for Generative Adversarial Networks (Chen, Lucic, Houlsby, Gelly, 2019),
    https://arxiv.org/abs/1810.01365, where gains and biases are both a perceptron's; how these were found is in
    docs/research/recipe.md.
"""

import math

import torch
from torch import Tensor, nn

from wgan.networks.base import Latent

SPREAD = 0.8
"""Standard deviation of a channel's first gains, whose mean is 1."""


class Modulated(nn.Module):
    """A norm of maps with gains computed from the latent.

    Args:
        norm: Maps (N, C, H, W) to the same, without gains and biases.
        latent: What the generator's noise is, of L numbers.
        channels: C.
    """

    def __init__(self, norm: nn.Module, latent: Latent, channels: int) -> None:
        super().__init__()
        self.norm, self.latent = norm, latent
        self.gain = nn.Linear(latent.size, channels)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.reset()

    def reset(self) -> None:
        """Set the first weights."""
        nn.init.normal_(self.gain.weight, 0.0, SPREAD / (math.sqrt(self.latent.size) * self.latent.deviation))
        with torch.no_grad():
            self.gain.bias.copy_(-self.latent.mean * self.gain.weight.sum(1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Maps (N, C, H, W) and latents (N, L) to maps."""
        normed = self.norm(x)
        gain, bias = (1 + self.gain(z))[:, :, None, None], self.bias[:, None, None]
        return torch.addcmul(bias.to(normed.dtype), normed, gain.to(normed.dtype))


class Guided(nn.Sequential):
    """Layers one after the other; those that want the latent are given it."""

    def forward(self, input: Tensor, z: Tensor | None = None) -> Tensor:
        """Maps or, first of all, latents, and the latents (by default: the input itself) to maps."""
        x, z = input, input if z is None else z
        for layer in self:
            x = layer(x, z) if isinstance(layer, Guided | Modulated) else layer(x)
        return x
