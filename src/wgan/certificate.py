r"""How steep a critic can be: a bound that holds everywhere, and the steepest slope seen.

With a bound K, a critic's difference of means over K is at most the Wasserstein distance, whatever the critic was
trained on. Constants are with respect to the Euclidean norm of the critic's input tensor.
"""

from collections.abc import Callable, Mapping
from math import prod, sqrt
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wgan.errors import UsageError
from wgan.networks.base import Critic, detached_copy
from wgan.networks.channels_last import Head
from wgan.networks.convolutions import Conv2d
from wgan.networks.layers import NORM_LAYERS
from wgan.networks.lipschitz import ONE_LIPSCHITZ, OrthogonalConv2d
from wgan.networks.one_lipschitz import Lattice, OffGrid, Outside, ReconstructionError
from wgan.networks.resnet import Residual
from wgan.slopes import does_more, gradient_norms
from wgan.words import first_line, is_out_of_memory

ROUNDING = 1 + 1e-6
"""What float64 linear algebra, and weights that were computed in float32, may be off by."""
BATCH = 256
"""Points whose slopes are looked at together."""
FREQUENCIES = 64
"""Frequencies of a convolution that are looked at together, to bound the memory."""


def certify(critic: nn.Module, shape: tuple[int, ...]) -> float:
    r"""Bound a critic's Lipschitz constant by the product of those of its layers.

    .. math:: \|f_n \circ \dots \circ f_1\|_L \le \prod_i \|f_i\|_L, \qquad \|f + g\|_L \le \|f\|_L + \|g\|_L

    All is float64. The bound is tight for orthogonal weights and far too large for deep ordinary ones, most of all
    where convolutions pad much or pools overlap. It is for the critic in evaluation mode and in exact arithmetic: a
    forward pass in float32, or bfloat16, adds its own rounding to the scores.

    Args:
        critic: Made of ``nn.Sequential``, a :class:`~wgan.networks.Critic`, residual blocks
            (:class:`~wgan.networks.resnet.Residual`) and the layers that have a bound here.
        shape: Of one sample: (C, H, W) or (D,).

    Returns:
        The bound.

    Raises:
        UsageError: A layer has no bound; the message has its name and the remedy. Or the critic takes no samples of
            that shape.
    """
    sizes: Any = shape
    if not isinstance(sizes, tuple | list) or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise UsageError(f"no certificate: the shape is {shape!r}, but it must be (C, H, W) or (D,) of one sample.")
    probe = detached_copy(critic).cpu().double().eval()
    if not all(bool(weight.isfinite().all()) for weight in probe.parameters()):
        raise UsageError("no certificate: the critic has weights that are NaN or infinite.")
    try:
        with torch.no_grad():
            return _walk(probe, torch.zeros(1, *shape, dtype=torch.float64, device="cpu"), "critic")[1]
    except (RuntimeError, ValueError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        why = first_line(error).rstrip(".")
        raise UsageError(f"no certificate: the critic takes no samples of shape {tuple(shape)} ({why}).") from error


def observed(critic: nn.Module, points: Tensor) -> float:
    """The largest norm of the critic's input gradient at some points (N, ...): observed, and not a bound."""
    probe = detached_copy(critic).eval()
    with torch.no_grad():
        return max(float(gradient_norms(probe, part).max()) for part in points.split(BATCH))


def _walk(module: nn.Module, x: Tensor, name: str) -> tuple[Tensor, float]:
    """What a module makes of x (1, ...), and its bound: the product of its layers' bounds."""
    kind = parametrize.type_before_parametrizations(module)
    if does_more(module):
        why = "has hooks or a forward of its own; remove them"
        raise UsageError(f"no certificate: the critic's layer {name} ({kind.__name__}) {why}.")
    if kind is Critic:
        assert isinstance(module, Critic)
        x, bound = _walk(module.features, x, "features")
        x, last = _walk(module.head, x.flatten(1), "head")
        return x, bound * last
    if kind is nn.Sequential:
        bound = 1.0
        for part, child in module._modules.items():  # with those that are there twice
            if child is not None:
                x, factor = _walk(child, x, part if name == "critic" else f"{name}.{part}")
                bound *= factor
        return x, bound
    if kind is Residual:
        assert isinstance(module, Residual)
        bound = module.scale * (_walk(module.residual, x, name)[1] + _walk(module.shortcut, x, name)[1])
    else:
        bound = _bound(module, kind, x, name)
    made: Tensor = module(x)
    return made, bound


def _bound(module: nn.Module, kind: type, x: Tensor, name: str) -> float:
    if kind in LIPSCHITZ:
        return LIPSCHITZ[kind]
    if kind in RULES:
        return RULES[kind](module, x)
    why = "has no known bound; use nn.Sequential of linear layers, 2-D convolutions, average pools and ReLU or MaxMin"
    if isinstance(module, NORM_LAYERS):
        why = "divides by what it finds in the data, and so has no bound; use norm='none' (--critic-norm none)"
    raise UsageError(f"no certificate: the critic's layer {name} ({kind.__name__}) {why}.")


def _norm(matrix: Tensor) -> float:
    """The largest singular value of a matrix, or of all matrices (..., M, N)."""
    return float(torch.linalg.svdvals(matrix)[..., 0].max()) * ROUNDING


def _orthogonal(module: OrthogonalConv2d, x: Tensor) -> float:
    return prod(_norm(matrix) for matrix in (module.inward, module.outward) if matrix is not None)


def _reconstruction(module: ReconstructionError, x: Tensor) -> float:
    r""":math:`\|I - V^\top V\|_2`: 1, unless the rows of V are so far from orthonormal that they overshoot."""
    return max(ROUNDING, abs(1 - _norm(module.directions) ** 2) if len(module.directions) else 0.0)


def _convolution(module: Any, x: Tensor) -> float:
    if x.dim() != 4:
        raise UsageError(
            f"no certificate: a 2-D convolution needs maps (C, H, W), not samples of {tuple(x.shape[1:])}."
        )
    if module.padding_mode != "zeros":
        raise UsageError(f"no certificate for a convolution with padding_mode={module.padding_mode!r}; use zeros.")
    first = (0, 0) if isinstance(module.padding, str) else module.padding  # "same" has stride 1: any phase will do
    return _convolution_norm(module.weight, module.groups, module.stride, first, module.dilation, x.shape[2:])


def _convolution_norm(
    weight: Tensor,
    groups: int,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    size: tuple[int, ...],
) -> float:
    r"""A bound of a convolution with zero padding: the norm of the circular one on a map that it fits into.

    A picture cut into tiles of the stride turns it into a convolution of stride 1 with a kernel of b taps. Zeros around
    the n tiles that the picture covers make it circular on n + b - 1 tiles, and its output is a part of that one's. A
    circular convolution is block diagonal in the Fourier basis, so its norm is the largest singular value of the
    kernel's transform over all frequencies. Each is computed exactly; a Gram iteration would approach it from above.

    References:
        The Singular Values of Convolutional Layers (Sedghi, Gupta, Long, 2019), https://arxiv.org/abs/1805.10408
        Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram Iteration (Delattre et al., 2023),
        https://arxiv.org/abs/2305.16173

    Args:
        weight: (out, in / groups, height, width).
        groups: Into how many independent convolutions the channels fall.
        stride: Down and across.
        padding: Zeros at the top and bottom, and at the left and right.
        dilation: Distance of the kernel's taps.
        size: Height and width of the input.
    """
    spread = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    taps = [-(-k // s) for k, s in zip(spread, stride, strict=True)]
    tiles = [-(-(n + p % s) // s) + t - 1 for n, p, s, t in zip(size, padding, stride, taps, strict=True)]
    kernel = weight.new_zeros(*weight.shape[:2], *(t * s for t, s in zip(taps, stride, strict=True)))
    kernel[:, :, : spread[0] : dilation[0], : spread[1] : dilation[1]] = weight
    # (out, in, taps down, stride down, taps across, stride across) to (all taps, groups, out, what goes into a tile)
    cut = kernel.unflatten(3, (taps[1], stride[1])).unflatten(2, (taps[0], stride[0]))
    blocks = cut.unflatten(0, (groups, -1)).permute(3, 5, 0, 1, 2, 4, 6).flatten(4).flatten(0, 1)
    down, across = (_waves(n, t) for n, t in zip(tiles, taps, strict=True))
    waves = torch.einsum("ft,gu->fgtu", down, across[: tiles[1] // 2 + 1]).flatten(2).flatten(0, 1)
    return max(_gram_norm(torch.einsum("ft,tgoi->fgoi", part, blocks.to(part))) for part in waves.split(FREQUENCIES))


def _waves(length: int, taps: int) -> Tensor:
    r""":math:`e^{-2 \pi i f t / n}` for all frequencies f of a circle of n and the taps t."""
    turns = torch.outer(torch.arange(length, device="cpu"), torch.arange(taps, device="cpu")).double() / length
    return torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)


def _gram_norm(matrices: Tensor) -> float:
    """The largest singular value of complex matrices (..., M, N), from the smaller Gram matrices."""
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mH
    return sqrt(float(torch.linalg.eigvalsh(wide @ wide.mH)[..., -1].max().clamp(min=0))) * ROUNDING


def _pool(module: nn.Module, x: Tensor) -> float:
    r""":math:`\|P\|_2 \le \sqrt{\|P\|_1 \|P\|_\infty}`, exact for windows that do not overlap."""
    with torch.enable_grad():
        ones = torch.ones_like(x).requires_grad_()
        sums = module(ones)
        (columns,) = torch.autograd.grad(sums.sum(), ones)
    return sqrt(float(sums.detach().abs().max() * columns.abs().max())) * ROUNDING


LIPSCHITZ: Mapping[type, float] = {
    **dict.fromkeys((*ONE_LIPSCHITZ, nn.Dropout, nn.ReLU), 1.0),
    **dict.fromkeys((Lattice, OffGrid, Outside), ROUNDING),
    nn.Sigmoid: 0.25,
    nn.SiLU: 1.0998393202,
}
"""The largest slopes of layers without weights."""

RULES: Mapping[type, Callable[[Any, Tensor], float]] = {
    **dict.fromkeys((nn.Linear, Head), lambda module, _: _norm(module.weight)),
    nn.LeakyReLU: lambda module, _: max(1.0, abs(module.negative_slope)),
    OrthogonalConv2d: _orthogonal,
    ReconstructionError: _reconstruction,
    **dict.fromkeys((nn.Conv2d, Conv2d), _convolution),
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _pool,
}
"""The bounds of the others, from the layer in float64 and an input (1, ...)."""
