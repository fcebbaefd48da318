"""Critics whose slope is at most 1 by their form: lattices of planes, and distances to boxes, grids and subspaces."""

from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wgan.errors import UsageError


class Lattice(nn.Module):
    r"""Scores that are minima of maxima of planes of slope 1, smoothed.

    They are dense among 1-Lipschitz functions on a compact set.

    .. math:: f(x) = \min_k \max_j \, \langle w_{kj}, x \rangle + b_{kj}, \qquad \|w_{kj}\| = 1

    with :math:`t \log \sum \exp (\cdot / t)` for the maximum, and its mirror image for the minimum. Gradients are
    convex combinations of the :math:`w_{kj}`, so the slope is at most 1. In few dimensions this learns faster than deep
    orthogonal networks, whose first layer must waste norm to be wide; in many dimensions it is far behind them.

    References:
        Monotonic Networks (Sill, 1997), https://papers.nips.cc/paper/1997/hash/83adc9225e4deb67d7ce42d58fe5157c

    Args:
        size: D.
        minima: How many maxima the minimum is taken of.
        maxima: How many planes each maximum is taken of.
    """

    def __init__(self, size: int, minima: int = 64, maxima: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(minima * maxima, size))
        self.bias = nn.Parameter(torch.randn(minima * maxima) * 0.1)
        self.log_temperatures = nn.Parameter(torch.full((2,), -2.3))
        self.minima = minima

    def forward(self, x: Tensor) -> Tensor:
        """Samples (N, D) to scores (N,)."""
        soft_max, soft_min = self.log_temperatures.exp()
        planes = F.linear(x, F.normalize(self.weight, dim=1), self.bias).unflatten(1, (self.minima, -1))
        maxima = soft_max * torch.logsumexp(planes / soft_max, 2)
        scores: Tensor = -soft_min * torch.logsumexp(-maxima / soft_min, 1)
        return scores

    def extra_repr(self) -> str:
        """The sizes, for ``repr``."""
        return f"{self.weight.shape[1]}, minima={self.minima}, maxima={len(self.weight) // self.minima}"


class DistanceTo(nn.Module, ABC):
    r"""How far samples are from a closed set, times 1 or -1: of slope 1.

    .. math:: f(x) = s \, \| x - \Pi(x) \|_2

    It needs no training, and sees at once what a perceptron takes long to learn: noise that is another one in each
    sample.

    Args:
        sign: s, 1 or -1.

    Raises:
        UsageError: The sign is another number.
    """

    def __init__(self, sign: float) -> None:
        super().__init__()
        if abs(sign) != 1:
            raise UsageError(f"the sign is {sign:g}; it must be 1 or -1, for the slope to be 1.")
        self.sign = sign

    def forward(self, x: Tensor) -> Tensor:
        """Samples (N, D) to scores (N,)."""
        distance: Tensor = torch.linalg.vector_norm(self.displacement(x), dim=1)
        return self.sign * distance

    @abstractmethod
    def displacement(self, x: Tensor) -> Tensor:
        """Vectors from the set's nearest points to the samples, (N, D)."""

    def extra_repr(self) -> str:
        """The sign and the sizes, for ``repr``."""
        return ", ".join([f"{self.sign:g}", *(str(tuple(buffer.shape)) for buffer in self.buffers())])


@final
class Outside(DistanceTo):
    r"""The distance to a box, :math:`\Pi(x) = \min(\max(x, l), u)`.

    Args:
        low: The corner l (D,).
        high: The corner u (D,).
        sign: 1 or -1.

    Raises:
        UsageError: The sign is another number.
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor, sign: float) -> None:
        super().__init__(sign)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def displacement(self, x: Tensor) -> Tensor:
        """What is outside the box."""
        return x - x.clamp(self.low, self.high)


@final
class OffGrid(DistanceTo):
    r"""The distance to a grid, the product of levels that each number has of its own.

    With the levels of one set of samples it sees that those of another are not rounded as they are: to signs, bits or
    few grey values.

    Args:
        levels: Of each of D numbers K levels, (D, K), sorted; a number that has fewer repeats its last.
        sign: 1 or -1.

    Raises:
        UsageError: The sign is another number.
    """

    levels: Tensor

    def __init__(self, levels: Tensor, sign: float) -> None:
        super().__init__(sign)
        self.register_buffer("levels", levels)

    @classmethod
    def of(cls, x: Tensor, sign: float, most: int) -> "OffGrid | None":
        """The grid of samples (N, D), if no number has more than ``most`` levels in them, nor a quarter of N."""
        ordered = x.T.sort(1).values
        rank = torch.cat([torch.zeros_like(ordered[:, :1]), ordered.diff(dim=1) > 0], 1).cumsum(1).long()
        count = int(rank.max()) + 1
        if count > min(most, len(x) // 4):
            return None
        levels = ordered[:, -1:].repeat(1, count)
        return cls(levels.scatter_(1, rank, ordered), sign)

    def displacement(self, x: Tensor) -> Tensor:
        """What is off the nearest level."""
        nearest = x - self.levels[:, 0]
        for level in self.levels.T[1:]:
            other = x - level
            nearest = torch.where(other.abs() < nearest.abs(), other, nearest)
        return nearest


@final
class ReconstructionError(DistanceTo):
    r"""The distance to an affine subspace, :math:`\Pi(x) = c + V^\top V (x - c)` with :math:`V V^\top = I`.

    With the mean and the first principal components of one set of samples it sees whether those of another have more or
    less of what the first have little of: noise in all numbers, or blurred edges.

    Args:
        centre: c (D,).
        directions: V (K, D) with orthonormal rows, from none of them to all D.
        sign: 1 or -1.

    Raises:
        UsageError: The sign is another number.
    """

    centre: Tensor
    directions: Tensor

    def __init__(self, centre: Tensor, directions: Tensor, sign: float) -> None:
        super().__init__(sign)
        self.register_buffer("centre", centre)
        self.register_buffer("directions", directions)

    def displacement(self, x: Tensor) -> Tensor:
        """What stands at right angles to the subspace."""
        x = x - self.centre
        return x - x @ self.directions.mT @ self.directions
