"""How good samples are, from features: the Frechet distance, and precision and recall."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wgan.distances.gaussian import gaussian

NEIGHBOUR = 3
_BLOCK = 1024

Features = NDArray[np.float32]


class Score(NamedTuple):
    """Of some samples against real ones.

    Attributes:
        distance: The Frechet distance, the square of the W2 of two Gaussians, as is usual.
        precision: The share of samples that are where real ones are.
        recall: The share of real ones that are where samples are.
    """

    distance: float
    precision: float
    recall: float


def score(real: Features, fake: Features) -> Score:
    """All three of them, from features (N, D) and (M, D)."""
    return Score(frechet(real, fake), *precision_recall(real, fake))


def frechet(real: Features, fake: Features) -> float:
    """The Frechet distance of the Gaussians that fit the features.

    References:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        https://arxiv.org/abs/1706.08500
    """
    return gaussian(real, fake) ** 2


def precision_recall(real: Features, fake: Features) -> tuple[float, float]:
    """Shares of either side within the other's manifold: balls around all points that reach their third neighbours.

    References:
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi et al., 2019),
        https://arxiv.org/abs/1904.06991
    """
    a, b = torch.from_numpy(real).double(), torch.from_numpy(fake).double()
    return share_inside(b, a), share_inside(a, b)


def share_inside(points: Tensor, centres: Tensor) -> float:
    """The share of points within the ball of any centre."""
    radii = torch.cat([_squares(part, centres).kthvalue(NEIGHBOUR + 1).values for part in centres.split(_BLOCK)])
    inside = [(_squares(part, centres) <= radii).any(1) for part in points.split(_BLOCK)]
    return float(torch.cat(inside).double().mean())


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances (N, M); a point is at no distance from itself."""
    return (a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)
