"""Pairs of distributions whose W1 is known, in any dimension.

The "MinFunnels" of Kantorovich Strikes Back! Wasserstein GANs are not Optimal Transport? (Korotin, Kolesov, Burnaev,
2022), https://arxiv.org/abs/2206.07767: mass moves along rays towards the nearest of N centres.
"""

import torch
from torch import Tensor

from wgan.seeds import rng

SIDE = 2.5
POWER = 8


class Funnels:
    r"""A pair (P, Q) whose optimal critic is :math:`u(x) = \min_n (\|x - a_n\| + b_n)`.

    Args:
        dim: Numbers in each sample.
        centres: N.
        seed: Chooses the centres.
    """

    def __init__(self, dim: int, centres: int, seed: int = 0) -> None:
        draw = rng(seed, f"funnels {dim}", centres)
        self.dim = dim
        self.centres = (torch.rand(centres, dim, generator=draw, dtype=torch.float64) * 2 - 1) * SIDE
        self.offsets = torch.randn(centres, generator=draw, dtype=torch.float64) * 0.1

    def p(self, n: int, draw: torch.Generator) -> Tensor:
        """Samples (n, D) of P: uniform in a box."""
        return (torch.rand(n, self.dim, generator=draw) * 2 - 1) * SIDE

    def q(self, n: int, draw: torch.Generator) -> Tensor:
        """Samples (n, D) of Q: where samples of P go."""
        return self.moved(self.p(n, draw).double()).float()

    def truth(self, draw: torch.Generator, n: int = 2**18) -> float:
        """W1: the mean way of so many samples."""
        parts = (self.p(2**14, draw).double() for _ in range(n // 2**14))
        return sum(float((x - self.moved(x)).norm(dim=1).mean()) for x in parts) / (n // 2**14)

    def moved(self, x: Tensor) -> Tensor:
        """Where samples (n, D) go: along the ray from the nearest centre, towards it."""
        distances = torch.cdist(x, self.centres)
        height, nearest = (distances + self.offsets).min(1)
        low = self.centres[nearest]
        way = (x - low).norm(dim=1, keepdim=True)
        ray = (x - low) / way
        to_box = ((SIDE * ray.sign() - x) / ray).abs().min(1).values
        above = height[:, None] - self.offsets
        slope = above - ((x * ray).sum(1, keepdim=True) - ray @ self.centres.T)
        to_funnel = (distances**2 - above**2) / slope / 2
        own = torch.nn.functional.one_hot(nearest, len(self.centres)).bool()
        never = own | (to_funnel <= 0) | (to_funnel <= -above) | ~to_funnel.isfinite()
        end = torch.minimum(to_box, to_funnel.masked_fill(never, float("inf")).min(1).values)
        up = x + ray * end[:, None]
        return low + (way / (up - low).norm(dim=1, keepdim=True)) ** POWER * (up - low)
