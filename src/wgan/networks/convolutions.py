r"""Strided convolutions whose costly cases are run as matrix products on a processor.

A convolution pairs three tensors, :math:`\langle y, \mathrm{conv}(x, w) \rangle`: the wide side x, the narrow side y
and the kernel w. Whatever is wanted, a convolution, a transposed one, or the gradient of a kernel, is the derivative of
this form with respect to one of them, given the two others, and has derivatives that are again of these three kinds.
Gathering the pixels of x that lie under the kernel turns each into one product of matrices.

oneDNN's kernels are the faster way to most of them, but not to all. Where a map has 4x4 pixels and hundreds of
channels, its time goes into putting the weights into another order, which a product does not need. In bfloat16 that
shows from fewer channels on, and the gradient of a kernel is slow up to 8x8 pixels. Where the processor multiplies
tiles (AMX) all of this shows from half as many channels on as where it does not: there the arithmetic takes longer.
Where vectors are as short as those of AVX2, gradients of wide kernels reach half of what a product does.
"""

from math import prod
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from wgan.machine.processor import has_short_vectors, multiplies_tiles
from wgan.networks.channels_last import rows
from wgan.networks.sizes import Size

CHANNELS, CHANNELS_BF16 = 256, 128
"""From so many channels on both sides, and up to so many pixels of the narrow side, all three are products. These and
the next are for tiles (Xeon, Sapphire Rapids); without (EPYC, Zen 4) it is from twice as many."""

PIXELS = 16

KERNEL_CHANNELS = 64
"""From so many channels, and up to so many pixels, a kernel's gradient in bfloat16 is one."""

KERNEL_PIXELS = 64

KERNEL_CHANNELS_AVX2 = 128
"""From so many channels a kernel's gradient in float32 is one where vectors are short (EPYC, Zen 3)."""

GATHERED = 2**23
"""Numbers that are gathered at a time for a kernel's gradient, to bound the memory."""


class Window(NamedTuple):
    """Where a kernel looks: its sides, stride and padding, and the height and width of the wide side."""

    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]
    height: int
    width: int

    @property
    def narrow(self) -> tuple[int, int]:
        """Height and width of the narrow side."""
        sides = zip((self.height, self.width), self.kernel, self.padding, strict=True)
        height, width = ((side + 2 * padding - kernel) // self.stride + 1 for side, kernel, padding in sides)
        return height, width

    @property
    def places(self) -> int:
        """Pixels of the narrow side."""
        return self.narrow[0] * self.narrow[1]


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Save all inputs, the last of which is the window."""
    *tensors, ctx.window = inputs
    ctx.save_for_backward(*tensors)


class _Down(Function):
    """x and w, and a bias of K numbers, to y: a convolution."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, bias: Tensor | None, window: Window) -> Tensor:
        if not _narrow(w, window, w.dtype):
            return F.conv2d(x, w, bias, window.stride, window.padding)
        made = F.linear(gather(x, window), rows(w), bias)
        return made.view(len(x), *window.narrow, -1).permute(0, 3, 1, 2)

    setup_context = staticmethod(_save_inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, w, _ = ctx.saved_tensors
        for_x, for_w, for_bias, _ = ctx.needs_input_grad
        y = gradients[0]
        return (
            up(y, w, ctx.window) if for_x else None,
            kernel_gradient(y, x, ctx.window) if for_w else None,
            y.sum((0, 2, 3)) if for_bias else None,
            None,
        )


class _Up(Function):
    """y and w to x: a transposed convolution."""

    @staticmethod
    def forward(y: Tensor, w: Tensor, window: Window) -> Tensor:
        if not _narrow(w, window, w.dtype):
            return _transposed(y, w, window)
        return scatter(_pixels(y) @ rows(w), window)

    setup_context = staticmethod(_save_inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        y, w = ctx.saved_tensors
        for_y, for_w, _ = ctx.needs_input_grad
        x = gradients[0]
        return down(x, w, ctx.window) if for_y else None, kernel_gradient(y, x, ctx.window) if for_w else None, None


class _Kernel(Function):
    """y and x to w: the gradient of a kernel."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, window: Window) -> Tensor:
        at_once = max(1, GATHERED // (window.places * prod(window.kernel) * x.shape[1]))
        pairs = zip(y.split(at_once), x.split(at_once), strict=True)
        parts = [_turned(narrow) @ gather(wide, window) for narrow, wide in pairs]
        product = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
        return product.view(y.shape[1], *window.kernel, x.shape[1]).permute(0, 3, 1, 2)

    setup_context = staticmethod(_save_inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        y, x = ctx.saved_tensors
        for_y, for_x, _ = ctx.needs_input_grad
        w = gradients[0]
        return down(x, w, ctx.window) if for_y else None, up(y, w, ctx.window) if for_x else None, None


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` of one stride; a wide one on a processor has derivatives of any order, but no vmap or jvp."""

    def __init__(
        self, channels: int, into: int, kernel: int, stride: int = 1, padding: int | Size = 0, *, bias: bool = True
    ) -> None:
        super().__init__(channels, into, kernel, stride, padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, K, h, w)."""
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)  # type: ignore[arg-type]

    def window(self, x: Tensor) -> Window:
        """Where the kernel looks at x."""
        return Window(self.kernel_size, self.stride[0], self.padding, *x.shape[2:])  # type: ignore[arg-type]

    def back(self, y: Tensor, x: Tensor) -> Tensor:
        """The transposed convolution of y, in the shape of x: what the gradient at x is, if that at the scores is y."""
        window = self.window(x)
        y, weight = _cast(y, self.weight)
        return up(y, weight, window) if pays(weight, window, y) else _transposed(y, weight, window)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` of one stride; as for :class:`Conv2d`, a wide one is beyond vmap and jvp."""

    def __init__(
        self,
        channels: int,
        into: int,
        kernel: int,
        stride: int,
        padding: int | Size,
        output_padding: int | Size = 0,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(channels, into, kernel, stride, padding, output_padding, bias=bias)

    def forward(self, y: Tensor) -> Tensor:  # type: ignore[override]
        """Maps (N, K, h, w) to (N, C, H, W)."""
        if not _usual(y, self.weight):
            return super().forward(y)
        padding = cast(Size, self.padding)
        sides = zip(y.shape[2:], self.kernel_size, padding, self.output_padding, strict=True)
        height, width = ((n - 1) * self.stride[0] - 2 * p + k + extra for n, k, p, extra in sides)
        window = Window(self.kernel_size, self.stride[0], padding, height, width)  # type: ignore[arg-type]
        if not pays(self.weight, window, y):
            return super().forward(y)
        y, weight, bias = _cast(y, self.weight, self.bias)
        made = up(y, weight, window)
        return made if bias is None else made + bias.view(-1, 1, 1)


def _usual(x: Tensor, w: Tensor) -> bool:
    """Whether x is a batch, and of a precision that the layer takes."""
    return x.dim() == 4 and len(x) > 0 and (x.dtype == w.dtype or torch.is_autocast_enabled(x.device.type))


def pays(w: Tensor, window: Window, like: Tensor) -> bool:
    """Whether any of the three is faster as a product: on a processor, by what was measured there."""
    if like.device.type != "cpu" or min(window.narrow) < 1:
        return False
    precision = _precision(like)
    return _narrow(w, window, precision) or _kernel_pays(w, window, precision)


def _narrow(w: Tensor, window: Window, precision: torch.dtype) -> bool:
    """Whether there are many channels of few pixels."""
    channels = CHANNELS_BF16 if precision == torch.bfloat16 else CHANNELS
    return window.places <= PIXELS and _wide(w, channels)


def _kernel_pays(w: Tensor, window: Window, precision: torch.dtype) -> bool:
    """Whether the gradient of the kernel alone is faster as a product."""
    if precision == torch.bfloat16:
        return window.places <= KERNEL_PIXELS and _wide(w, KERNEL_CHANNELS)
    return precision == torch.float32 and has_short_vectors() and min(w.shape[:2]) >= KERNEL_CHANNELS_AVX2


def _wide(w: Tensor, channels: int) -> bool:
    """Whether a kernel has so many channels on both sides; twice as many where the processor multiplies no tiles."""
    return min(w.shape[:2]) >= (channels if multiplies_tiles() else 2 * channels)


def conv2d(x: Tensor, w: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """``torch.nn.functional.conv2d``, the costly cases as products: x (N, C, H, W), w (K, C, k, l) to (N, K, h, w)."""
    if stride[0] == stride[1] and _usual(x, w):
        window = Window(w.shape[2:], stride[0], padding, *x.shape[2:])  # type: ignore[arg-type]
        if pays(w, window, x):
            x, w, bias = _cast(x, w, bias)
            return down(x, w, window, bias)
    return F.conv2d(x, w, bias, stride, padding)


def down(x: Tensor, w: Tensor, window: Window, bias: Tensor | None = None) -> Tensor:
    """The convolution of x (N, C, H, W) with w (K, C, k, l): (N, K, h, w)."""
    return _Down.apply(x, w, bias, window)  # type: ignore[no-any-return,no-untyped-call]


def up(y: Tensor, w: Tensor, window: Window) -> Tensor:
    """The transposed convolution of y (N, K, h, w) with w (K, C, k, l): (N, C, H, W)."""
    return _Up.apply(y, w, window)  # type: ignore[no-any-return,no-untyped-call]


def kernel_gradient(y: Tensor, x: Tensor, window: Window) -> Tensor:
    """The gradient of <y, down(x, w)> with respect to w: (K, C, k, l)."""
    return _Kernel.apply(y, x, window)  # type: ignore[no-any-return,no-untyped-call]


def gather(x: Tensor, window: Window) -> Tensor:
    """What lies under the kernel at each of its places: (N, C, H, W) to (N h w, k l C)."""
    (high, wide), (top, left), s = window.kernel, window.padding, window.stride
    # Written out, since F.pad keeps the order in memory that x has, and windows of another one are slow to read.
    padded = x.new_zeros(len(x), window.height + 2 * top, window.width + 2 * left, x.shape[1])
    padded[:, top : top + window.height, left : left + window.width] = x.permute(0, 2, 3, 1)
    places = padded.unfold(1, high, s).unfold(2, wide, s).permute(0, 1, 2, 4, 5, 3)
    return places.reshape(places.shape[:3].numel(), -1)


def scatter(columns: Tensor, window: Window) -> Tensor:
    """The transpose of :func:`gather`: (N h w, k l C) added up into (N, C, H, W)."""
    h, w = window.narrow
    (high, wide), (top, left), s = window.kernel, window.padding, window.stride
    parts = columns.view(-1, h, w, high, wide, columns.shape[1] // (high * wide))
    padded = columns.new_zeros(len(parts), window.height + 2 * top, window.width + 2 * left, parts.shape[-1])
    for i in range(high):
        for j in range(wide):
            padded[:, i : i + s * (h - 1) + 1 : s, j : j + s * (w - 1) + 1 : s] += parts[:, :, :, i, j]
    inner = padded[:, top : top + window.height, left : left + window.width]
    return inner.contiguous().permute(0, 3, 1, 2)


def _turned(y: Tensor) -> Tensor:
    """Maps (N, K, h, w) as (K, N h w)."""
    pixels = _pixels(y).t()
    # The product in bfloat16 takes up to half as long again with a factor turned.
    return pixels.contiguous() if pixels.dtype == torch.bfloat16 else pixels


def _pixels(y: Tensor) -> Tensor:
    """Maps (N, K, h, w) as (N h w, K)."""
    return y.permute(0, 2, 3, 1).flatten(0, 2)


def _precision(like: Tensor) -> torch.dtype:
    """That of a layer's arithmetic."""
    lower = torch.is_autocast_enabled("cpu") and like.dtype == torch.float32
    return torch.get_autocast_dtype("cpu") if lower else like.dtype


def _cast(like: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    precision = _precision(like)
    return tuple(None if each is None else each.to(precision) for each in (like, *others))


def _transposed(y: Tensor, w: Tensor, window: Window) -> Tensor:
    sides = zip((window.height, window.width), window.narrow, window.kernel, window.padding, strict=True)
    extra = [side - ((n - 1) * window.stride - 2 * p + k) for side, n, k, p in sides]
    return F.conv_transpose2d(y, w, None, window.stride, window.padding, extra)
