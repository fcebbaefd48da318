r"""Layers that are 1-Lipschitz by construction and lose as little of a gradient's norm as they can.

A composition of layers is at most as steep as the product of their steepest slopes, :math:`\|f\|_L \le \prod_i \|f_i\|_L`.
Matrices with orthonormal rows or columns, and activations that only reorder their inputs, have 1 for each factor and lose
nothing on the way back, so a deep network of them can have slope 1 everywhere, as an optimal critic has.

References:
    Sorting out Lipschitz function approximation (Anil, Lucas, Grosse, 2019), https://arxiv.org/abs/1811.05381
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wgan.networks.sizes import Size


class MaxMin(nn.Module):
    """Sorts pairs of channels: the larger of channels i and i + C/2 comes first, the smaller second; ``GroupSort(2)``.

    Channels are dimension 1; the last of an odd number passes through.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, C, ...)."""
        half = x.shape[1] // 2
        a, b, *rest = x.split(half, 1) if half else (x[:, :0], x[:, :0], x)
        surplus = F.relu(a - b)  # six times as fast as maximum and minimum, whose gradients share ties
        return torch.cat([b + surplus, a - surplus, *rest], 1)


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
        groups = x[:, :whole].unflatten(1, (self.size, -1))
        return torch.cat([groups.sort(1, descending=True).values.flatten(1, 2), x[:, whole:]], 1)

    def extra_repr(self) -> str:
        """The size, for ``repr``."""
        return str(self.size)


class GlobalPool(nn.Module):
    r"""The sum over a map divided by :math:`\sqrt{HW}`: a mean, scaled so that its norm is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        return x.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3]) ** 0.5


class OrthogonalConv2d(nn.Module):
    r"""A convolution that is 1-Lipschitz for certain, in place of an ``nn.Conv2d`` of the same sizes.

    The picture is cut into tiles as large as the stride, an isometry. Each tile's numbers go through a matrix Q with
    orthonormal columns; each channel is moved by one of the kernel's taps, in tiles, and what leaves the map is lost;
    a matrix P with orthonormal rows or columns leads to the output. All three have norm 1. Together they are one ordinary
    convolution,

    .. math:: K_t = P_{:, S_t} \, Q_{S_t, :}

    with the channels :math:`S_t` that tap t moves. Its kernel is the given one rounded up to a multiple of the stride.
    A kernel as large as the stride has one tap, and K is P.

    References:
        Preventing Gradient Attenuation in Lipschitz Constrained Convolutional Networks (Li et al., 2019: the kernels
        whose shifts and projections these are a case of), https://arxiv.org/abs/1911.00937

    Args:
        channels: Of the input.
        into: Channels of the output.
        kernel: Height and width.
        stride: Down and across.
        padding: Zeros at the top and bottom, and at the left and right.
        bias: Whether to add one.
    """

    def __init__(
        self,
        channels: int,
        into: int,
        kernel: Size,
        stride: Size = (1, 1),
        padding: Size = (0, 0),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.into, self.kernel, self.stride, self.padding = channels, into, kernel, stride, padding
        self.taps = -(-kernel[0] // stride[0]), -(-kernel[1] // stride[1])
        tile = channels * stride[0] * stride[1]
        inner = tile if self.taps == (1, 1) else max(tile, into)
        self.outward = nn.Parameter(nn.init.orthogonal_(torch.empty(into, inner)))
        inward = None if self.taps == (1, 1) else nn.Parameter(nn.init.orthogonal_(torch.empty(inner, tile)))
        self.register_parameter("inward", inward)
        self.register_parameter("bias", nn.Parameter(torch.zeros(into)) if bias else None)

    def weight(self) -> Tensor:
        """The kernel (into, channels, height, width) of the equal ordinary convolution."""
        rows, columns = self.taps
        product = self.outward.unsqueeze(2)
        if self.inward is not None:
            missing = -self.outward.shape[1] % (rows * columns)
            left = F.pad(self.outward, (0, missing)).unflatten(1, (-1, rows * columns))
            right = F.pad(self.inward, (0, 0, 0, missing)).unflatten(0, (-1, rows * columns))
            product = torch.einsum("oqt,qtc->oct", left, right)
        parts = product.view(self.into, self.channels, *self.stride, rows, columns)
        return parts.permute(0, 1, 4, 2, 5, 3).reshape(
            self.into, self.channels, rows * self.stride[0], columns * self.stride[1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the maps that the ordinary convolution would give, (N, into, H', W')."""
        weight = self.weight()
        more = weight.shape[2] - self.kernel[0], weight.shape[3] - self.kernel[1]
        if any(more):
            x = F.pad(x, (0, more[1], 0, more[0]))
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The sizes, for ``repr``."""
        return f"{self.channels}, {self.into}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


def polar(weight: Tensor) -> Tensor:
    r"""The nearest matrix with orthonormal rows or columns, whichever are fewer: :math:`U V^\top` of :math:`U S V^\top`.

    Args:
        weight: (M, N).

    Returns:
        (M, N), in the same type; computed in float64.
    """
    u, _, v = torch.linalg.svd(weight.double(), full_matrices=False)
    return (u @ v).to(weight)


def newton_schulz(weight: Tensor, steps: int = 3) -> Tensor:
    r"""Steps from a nearly orthogonal matrix towards its polar factor, by matrix products alone.

    .. math:: W \leftarrow \tfrac32 W - \tfrac12 W W^\top W

    takes every singular value s to :math:`\tfrac32 s - \tfrac12 s^3`, which is at most 1 for :math:`s < \sqrt 3`: the
    result's norm is at most 1 after one step, and the distance from 1 is squared in each further one. A matrix that may
    be outside, by :math:`s^2 \le 1 + \|W W^\top - I\|_F`, is scaled into it first.

    References:
        Muon (Jordan et al., 2024) and, for the iteration, Björck and Bowie (1971), https://doi.org/10.1137/0708036

    Args:
        weight: (M, N).
        steps: How many.

    Returns:
        (M, N).
    """
    w = weight if weight.shape[0] <= weight.shape[1] else weight.mT
    gram = w @ w.mT
    bound = 1 + torch.linalg.matrix_norm(gram - torch.eye(len(gram)).to(gram))
    shrink = (2.5 / bound).clamp(max=1)
    w, gram = w * shrink.sqrt(), gram * shrink
    for step in range(steps):
        gram = w @ w.mT if step else gram
        w = 1.5 * w - 0.5 * gram @ w
    return w if weight.shape[0] <= weight.shape[1] else w.mT
