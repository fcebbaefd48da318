r"""Instance norm of maps whose channels lie last in memory, with its two derivatives written out.

With means over the pixels of one map, :math:`r = (\operatorname{var} x + \epsilon)^{-1/2}` and
:math:`\hat x = r (x - \operatorname{mean} x)`, the norm is :math:`y = w \hat x + b`, and its derivative is
:math:`w r P` with the symmetric :math:`P u = u - \operatorname{mean} u - \hat x \operatorname{mean}(\hat x u)`.
A gradient penalty takes the derivative of :math:`\langle v, w r P g \rangle` as well. It is :math:`w r P v` with
respect to g, and with respect to x

.. math:: -w r^2 \left[ \operatorname{mean}(v P g) \, \hat x + \operatorname{mean}(\hat x g) \, P v
          + \operatorname{mean}(\hat x v) \, P g \right].

PyTorch computes an instance norm as the batch norm of one sample with N C channels, which needs the channels first: a
copy to and another fro, and what comes after it finds its two inputs in different orders. Here maps stay as they are.
They are taken a few samples at a time, so that all passes but the first find them in the cache.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

PART = 2**18
"""About so many numbers are taken at a time: one megabyte of float32."""

WIDE = {torch.bfloat16: torch.float32, torch.float32: torch.float32, torch.float64: torch.float64}
"""The precision of means, for each of the maps."""


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``; on a processor, with the channels last, twice differentiable without vmap or jvp.

    Means are in float32 or wider, whatever the maps are; there are no running statistics.

    Args:
        channels: Of the maps.
        affine: Whether it has a gain and a bias.
    """

    def __init__(self, channels: int, *, affine: bool = False) -> None:
        super().__init__(channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same."""
        if not self.written_out(x):
            return super().forward(x)
        return _Norm.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-any-return,no-untyped-call]

    def written_out(self, x: Tensor) -> bool:
        """Whether x is a batch of maps with more than a pixel, on a processor, with its channels last."""
        if x.device.type != "cpu" or x.dim() != 4 or len(x) == 0 or x.shape[2:].numel() < 2 or x.dtype not in WIDE:
            return False
        fits = self.weight is None or self.weight.dtype == WIDE[x.dtype]
        return fits and x.is_contiguous(memory_format=torch.channels_last)

    def back(self, g: Tensor, x: Tensor) -> Tensor:
        """The gradient at x, if that at the normed maps is g."""
        if not self.written_out(x):
            gradient: Tensor = torch.func.vjp(super().forward, x)[1](g)[0]
            return gradient
        return _Back.apply(g, x, self.weight, self.eps)[0]  # type: ignore[no-any-return,no-untyped-call]


class _Norm(Function):
    """x, w and b to y."""

    @staticmethod
    def forward(x: Tensor, w: Tensor | None, b: Tensor | None, eps: float) -> Tensor:
        y = torch.empty_like(x)
        for part, into in _parts(x, y):
            normed, _ = _normed(part, eps)
            into.copy_(normed if w is None or b is None else torch.addcmul(b, normed, w))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.eps = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        for_x, for_w, for_b = _Back.apply(gradients[0], *ctx.saved_tensors, ctx.eps)  # type: ignore[no-untyped-call]
        wanted = ctx.needs_input_grad
        return for_x, for_w if wanted[1] else None, for_b if wanted[2] else None, None


class _Back(Function):
    """g at y, and x and w, to the gradients at x, w and b."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, w: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        for_x, sums = torch.empty_like(x), list[Tensor]()
        for x_part, g_part, into in _parts(x, g, for_x):
            (normed, r), wide = _normed(x_part, eps), g_part.to(WIDE[x.dtype])
            mean, slope = _mean(wide), _mean(wide * normed)
            size = r if w is None else r * w
            into.copy_(torch.addcmul(-size * mean, wide, size).addcmul_(normed, -size * slope))
            sums.append(torch.cat([slope, mean], 1).sum(0))
        for_w, for_b = torch.stack(sums).sum(0) * x.shape[2:].numel()
        return for_x, for_w.clone(), for_b.clone()  # for whoever changes one of them in place

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.eps = inputs
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        g, x, w = ctx.saved_tensors
        v = torch.zeros_like(x) if gradients[0] is None else gradients[0]
        at_w, at_b = (0.0 if gradient is None else gradient for gradient in gradients[1:])
        for_g, for_x, sums = torch.empty_like(x), torch.empty_like(x), list[Tensor]()
        for x_part, v_part, g_part, into_g, into_x in _parts(x, v, g, for_g, for_x):
            normed, r = _normed(x_part, ctx.eps)
            v_wide, g_wide = (each.to(WIDE[x.dtype]) for each in (v_part, g_part))
            v_mean, g_mean = _mean(v_wide), _mean(g_wide)
            v_slope, g_slope = _mean(v_wide * normed), _mean(g_wide * normed)
            both = _mean(v_wide * g_wide) - v_mean * g_mean - v_slope * g_slope
            size = r if w is None else r * w
            into_g.copy_(torch.addcmul(at_b - size * v_mean, v_wide, size).addcmul_(normed, at_w - size * v_slope))
            # P v and P g, each so many times, and the normed map.
            of_v, of_g = -size * r * g_slope, r * (at_w - size * v_slope)
            made = torch.addcmul(-of_v * v_mean - of_g * g_mean, v_wide, of_v).addcmul_(g_wide, of_g)
            into_x.copy_(made.addcmul_(normed, -size * r * both - of_v * v_slope - of_g * g_slope))
            sums.append((r * both).sum((0, 1)))
        for_w = None if w is None else torch.stack(sums).sum(0) * x.shape[2:].numel()
        return for_g, for_x, for_w, None


def _parts(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Maps (N, C, H, W) a few samples at a time, as (n, H W, C)."""
    samples = max(1, PART // maps[0][0].numel())
    return zip(*(each.permute(0, 2, 3, 1).flatten(1, 2).split(samples) for each in maps), strict=True)


def _normed(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The maps (n, H W, C) less their means, times r, and r (n, 1, C)."""
    wide = x.to(WIDE[x.dtype])
    # Not the mean square less the squared mean: far from zero that would lose the variance.
    centred = wide - _mean(wide)
    r = _mean(centred.square()).add(eps).rsqrt()
    return centred.mul_(r), r


def _mean(maps: Tensor) -> Tensor:
    return maps.mean(1, keepdim=True)
