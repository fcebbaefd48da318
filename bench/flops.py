r"""How much arithmetic a WGAN-GP iteration needs, and how much of it the machine can do in a second.

Only multiplications and additions of convolutions and linear layers are counted, two for each weight and place where
it is used (padding included); all else is small beside them. :math:`F` is that of a network's forward pass on one
batch, :math:`f` the part of its first layer. Backward passes cost :math:`F` for the weights' gradients and :math:`F`
for the inputs' (without :math:`f`, where nobody asks for the gradient of what goes in). What is *necessary* with
:math:`n` critic steps is then

.. math::
    n \, \big( F_g + 2 F_c + 2 (2 F_c - f_c) + p F_c \big) + F_g + (2 F_g - f_g) + 2 F_c

- a critic step: the generator forward without a graph; real and generated samples through the critic forward and
  backward; the penalty, forward, input gradient, and backward through that gradient (to the weights and to what flows
  between the layers): :math:`p = 4`. That is all where the critic is piecewise linear, for then the gradient does not
  depend on the activations. Where it does, as with norm layers, the forward pass is gone through backward too:
  :math:`p = 6`.
- the generator's step: the generator forward and backward, the critic forward, and backward to its input alone.

What a loop computes beyond that counts as time lost, not as speed.
"""

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

LINEAR = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
PIECEWISE_LINEAR = (
    *(*LINEAR, nn.ReLU, nn.LeakyReLU, nn.Dropout, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    *(nn.Upsample, nn.Flatten, nn.Unflatten, nn.Identity),
)


class Forward(NamedTuple):
    """Of one batch: all layers, and the first one."""

    all: float
    first: float


def forward_flops(network: nn.Module, x: Tensor) -> Forward:
    """Count what a forward pass of ``x`` needs, layer by layer."""
    counts: list[float] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(layer_flops(layer, inputs[0], output))

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, LINEAR)]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return Forward(sum(counts), counts[0])


def layer_flops(layer: nn.Module, x: Tensor, y: Tensor) -> float:
    """Two for each weight and each place where it is used."""
    if isinstance(layer, nn.Linear):
        return 2.0 * y.numel() * layer.in_features
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    height, width = layer.kernel_size
    if isinstance(layer, nn.ConvTranspose2d):  # every input number is spread, not every output gathered
        return 2.0 * x.numel() * (layer.out_channels // layer.groups) * height * width
    return 2.0 * y.numel() * (layer.in_channels // layer.groups) * height * width


def is_piecewise_linear(network: nn.Module) -> bool:
    """Whether its gradient depends on the input only through which side of a bend it is on."""
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    return all(isinstance(layer, PIECEWISE_LINEAR) for layer in leaves)


def iteration_flops(generator: nn.Module, critic: nn.Module, latents: Tensor, critic_steps: int) -> float:
    """What one iteration needs: the formula at the top of this file."""
    with torch.no_grad():
        samples = generator(latents)
    g, c = forward_flops(generator, latents), forward_flops(critic, samples)
    penalty = (4 if is_piecewise_linear(critic) else 6) * c.all
    critic_step = g.all + 2 * c.all + 2 * (2 * c.all - c.first) + penalty
    return critic_steps * critic_step + g.all + (2 * g.all - g.first) + 2 * c.all


def peak_flops(
    precision: torch.dtype, *, repeats: int = 12, channels: int = 256, side: int = 32, batch: int = 64
) -> float:
    """FLOP/s of a large 3x3 convolution in channels_last, forward: the best of several runs."""
    layer: Any = nn.Conv2d(channels, channels, 3, padding=1).to(precision).to(memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side, dtype=precision).to(memory_format=torch.channels_last)
    best = 0.0
    with torch.no_grad():
        work = layer_flops(layer, x, layer(x))
        for _ in range(repeats):
            began = time.perf_counter()
            layer(x)
            best = max(best, work / (time.perf_counter() - began))
    return best
