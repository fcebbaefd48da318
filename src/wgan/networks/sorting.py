"""Activations that only reorder their inputs: 1-Lipschitz, and none of a gradient's norm is lost on the way back.

References:
    Sorting out Lipschitz function approximation (Anil, Lucas, Grosse, 2019), https://arxiv.org/abs/1811.05381
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function


class MaxMin(nn.Module):
    """Sorts pairs of channels: the larger of channels i and i + C/2 comes first, the smaller second; ``GroupSort(2)``.

    Channels are dimension 1; the last of an odd number passes through. It has derivatives of any order, but no vmap or
    jvp.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, C, ...)."""
        return _MaxMin.apply(x)  # type: ignore[no-any-return,no-untyped-call]


class _MaxMin(Function):
    """:class:`MaxMin`, whose derivative swaps the channels of some pairs back."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        a, b = x[:, :half], x[:, half : 2 * half]
        made = torch.empty_like(x)
        torch.maximum(a, b, out=made[:, :half])
        torch.minimum(a, b, out=made[:, half : 2 * half])
        _pass_through(x, made, 2 * half)
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (x,) = inputs
        half = x.shape[1] // 2
        a, b = x.detach()[:, :half], x.detach()[:, half : 2 * half]
        ctx.save_for_backward(torch.gt(a, b, out=torch.empty_like(a)))  # half as large as x
        ctx.strides = output.stride()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # On its own, apply takes half as long as the swap of a small map.
        swap: Callable[..., Tensor] = _Swap.apply if torch.is_grad_enabled() else _swap
        return swap(gradients[0], *ctx.saved_tensors, ctx.strides)


def _swap(x: Tensor, larger: Tensor, strides: tuple[int, ...]) -> Tensor:
    """Swaps the channels of the pairs where ``larger`` is 0, and leaves them where it is 1.

    Written into one tensor, in the order in memory that is asked for: the gradient of a flattened map comes in another
    order than the map has, which convolutions are slow to read.
    """
    half = larger.shape[1]
    a, b = x[:, :half], x[:, half : 2 * half]
    made = x.new_empty_strided(x.shape, strides)
    # Exact at 0 and 1 for finite numbers, and many times as fast as torch.where.
    torch.lerp(b, a, larger, out=made[:, :half])
    torch.lerp(a, b, larger, out=made[:, half : 2 * half])
    _pass_through(x, made, 2 * half)
    return made


def _pass_through(x: Tensor, made: Tensor, paired: int) -> None:
    """Copies the channel that has no partner; of an even number there is none, and a copy of nothing takes time."""
    if paired < x.shape[1]:
        made[:, paired:] = x[:, paired:]


class _Swap(Function):
    """:func:`_swap`, which is its own transpose."""

    @staticmethod
    def forward(x: Tensor, larger: Tensor, strides: tuple[int, ...]) -> Tensor:
        return _swap(x, larger, strides)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, ...]], output: Tensor) -> None:
        _, larger, ctx.strides = inputs
        ctx.save_for_backward(larger)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        swap: Callable[..., Tensor] = _Swap.apply if torch.is_grad_enabled() else _swap
        return swap(gradients[0], *ctx.saved_tensors, ctx.strides), None, None


class GroupSort(nn.Module):
    """Sorts groups of ``size`` channels, the largest first: group i has the channels i, i + C/size, i + 2 C/size ...

    Channels are dimension 1; those that fill no group pass through.

    Args:
        size: Channels in a group, at least 2.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, C, ...)."""
        whole = x.shape[1] // self.size * self.size
        if not whole:
            return x
        rows: Tensor = x[:, :whole].unflatten(1, (self.size, -1)).sort(1, descending=True).values
        return torch.cat([rows.flatten(1, 2), x[:, whole:]], 1)

    def extra_repr(self) -> str:
        """The size, for ``repr``."""
        return str(self.size)
