r"""Layers that are 1-Lipschitz by construction and lose as little of a gradient's norm as they can.

A composition of layers is at most as steep as the product of their steepest slopes,
:math:`\|f\|_L \le \prod_i \|f_i\|_L`. Matrices with orthonormal rows or columns, and activations that only reorder
their inputs, make every factor 1 and lose little on the way back, so that a deep network of them can have slope 1
almost everywhere, as an optimal critic has.

References:
    Sorting out Lipschitz function approximation (Anil, Lucas, Grosse, 2019), https://arxiv.org/abs/1811.05381
"""

from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wgan.networks.convolutions import conv2d
from wgan.networks.sizes import Size
from wgan.networks.sorting import GroupSort, MaxMin


class GlobalPool(nn.Module):
    r"""The sum over a map divided by :math:`\sqrt{HW}`: a mean, scaled so that its norm is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        total: Tensor = x.sum((2, 3), keepdim=True)
        return total / sqrt(x.shape[2] * x.shape[3])


class OrthogonalConv2d(nn.Module):
    r"""A convolution that is 1-Lipschitz for certain, in place of an ``nn.Conv2d`` of the same sizes.

    The picture is cut into tiles as large as the stride, an isometry. A matrix Q with orthonormal rows or columns takes
    each tile's numbers to as many channels as the output has (or keeps them all, if that is fewer than the kernel has
    taps); each of these is moved by one of the taps, in tiles, and what leaves the map is lost; a matrix P with
    orthonormal rows leads to the output. All have norm 1. Together they are one ordinary convolution,

    .. math:: K_t = P_{:, S_t} \, Q_{S_t, :}

    with the channels :math:`S_t` that tap t moves. Its kernel is the given one rounded up to a multiple of the stride.
    A kernel as large as the stride has one tap and no P.

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

    outward: Tensor | None
    bias: Tensor | None

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
        tile, taps = channels * prod(stride), prod(self.taps)
        inner = max(tile, into) if into < taps else into
        self.inward = nn.Parameter(nn.init.orthogonal_(torch.empty(inner, tile)))
        outward = nn.Parameter(nn.init.orthogonal_(torch.empty(into, inner))) if taps > 1 else None
        self.register_parameter("outward", outward)
        self.register_parameter("bias", nn.Parameter(torch.zeros(into)) if bias else None)

    def weight(self) -> Tensor:
        """The kernel (into, channels, height, width) of the equal ordinary convolution, channels last in memory."""
        rows, columns = self.taps
        tiles: Tensor = self.inward.unflatten(1, (self.channels, *self.stride)).movedim(1, 3)
        if self.outward is None:
            return tiles.contiguous().movedim(3, 1)
        # Inner channels are dealt out to the taps: tap t joins those of the rows q of its own.
        missing = -len(tiles) % (rows * columns)
        left = F.pad(self.outward, (0, missing)).unflatten(1, (-1, rows * columns))  # (into, q, t)
        right = F.pad(tiles.flatten(1), (0, 0, 0, missing)).unflatten(0, (-1, rows * columns))  # (q, t, tile)
        product = torch.einsum("oqt,qtc->otc", left, right)
        # (into, down, across, in the tile down, in it across, channels), and then the taps beside their places in tiles
        parts: Tensor = product.unflatten(2, tiles.shape[1:]).unflatten(1, self.taps)
        return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2).movedim(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the maps that the ordinary convolution would give, (N, into, H', W')."""
        weight = self.weight()
        more = weight.shape[2] - self.kernel[0], weight.shape[3] - self.kernel[1]
        if any(more):
            x = F.pad(x, (0, more[1], 0, more[0]))
        return conv2d(x, weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The sizes, for ``repr``."""
        return f"{self.channels}, {self.into}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


ONE_LIPSCHITZ = (
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.Tanh),
    *(MaxMin, GroupSort, GlobalPool),
)
"""Layers without weights that are nowhere steeper than 1."""


def polar(weight: Tensor) -> Tensor:
    r"""The nearest matrix with orthonormal rows or columns, whichever are fewer.

    .. math:: W = U S V^\top \mapsto U V^\top

    Args:
        weight: (M, N).

    Returns:
        (M, N), in the same type; computed in float64.
    """
    u, _, v = torch.linalg.svd(weight.double(), full_matrices=False)
    nearest: Tensor = u @ v
    return nearest.to(weight)


def newton_schulz(weight: Tensor, tolerance: float = 1e-2, most: int = 12, norm: float = 1.0) -> Tensor:
    r"""The polar factor of a nearly orthogonal matrix, by matrix products alone.

    .. math:: W \leftarrow \tfrac32 W - \tfrac12 W W^\top W

    takes every singular value s to :math:`\tfrac32 s - \tfrac12 s^3`, which is at most 1 for :math:`s < \sqrt 3`: the
    result's norm is at most 1 after one step, and each step squares the distance :math:`r = \|W W^\top - I\|_F` from
    orthogonality to :math:`\tfrac34 r^2 + \tfrac14 r^3` at most. One or two are enough after an optimizer's step. Where
    :math:`s^2 \le 1 + r` is not small enough, W is scaled first.

    References:
        An Iterative Algorithm for Computing the Best Estimate of an Orthogonal Matrix (Björck and Bowie, 1971),
        https://doi.org/10.1137/0708036

    Args:
        weight: (M, N).
        tolerance: The distance r to reach.
        most: Steps to take at most, of at least one.
        norm: What all singular values shall be; W is the weight divided by it.

    Returns:
        (M, N), with the same norm.
    """
    wide = weight.shape[0] <= weight.shape[1]
    w, square = weight, norm**2
    for step in range(most):
        excess = w @ w.mT if wide else w.mT @ w
        excess.diagonal().sub_(square)
        distance = float(torch.linalg.vector_norm(excess)) / square
        shrink = 1.0 if step else min(1.0, 2.5 / (1 + distance))
        root = sqrt(shrink)
        pair = (excess, w) if wide else (w, excess)
        w = torch.addmm(w, *pair, beta=root * (1.5 - 0.5 * shrink), alpha=-0.5 * root * shrink / square)
        if shrink == 1 and 0.75 * distance**2 + 0.25 * distance**3 < tolerance:
            break
    return w


def tangent(gradient: Tensor, weight: Tensor, norm: float = 1.0) -> Tensor:
    r"""A gradient among orthogonal matrices: the part of it along which one stays orthogonal, to first order.

    .. math:: G - W G^\top W

    It is the gradient in the canonical metric of the Stiefel manifold; of a square matrix it is twice the nearest
    matrix to G with that property.

    References:
        The Geometry of Algorithms with Orthogonality Constraints (Edelman, Arias, Smith, 1998),
        https://arxiv.org/abs/physics/9806030

    Args:
        gradient: G (M, N).
        weight: (M, N), ``norm`` times a matrix with orthonormal rows or columns W.
        norm: Its singular values.

    Returns:
        (M, N).
    """
    w = weight.detach()
    wide = len(w) <= w.shape[1]
    pair = (w @ gradient.mT, w) if wide else (w, gradient.mT @ w)
    return torch.addmm(gradient, *pair, alpha=-1 / norm**2)
