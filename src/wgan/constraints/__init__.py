"""What keeps a critic Lipschitz.

A constraint acts at one of three moments: it *prepares* the critic once (reparametrises it), adds a *penalty* to the
critic's loss, or *projects* the weights after each step. The gradient penalties differ only in where they look
(``points``) and in how they punish the gradient norm that they find there (``punish``).
"""

from itertools import product
from typing import final

import torch
from torch import nn

from wgan.constraints.base import Constraint, parts_of, with_penalties
from wgan.constraints.leftovers import prepared
from wgan.constraints.orthogonal import Orthogonal
from wgan.constraints.penalties import R1, R2, GradientNormPenalty, GradientPenalty, LipschitzPenalty
from wgan.constraints.spectral import SpectralNorm
from wgan.errors import UsageError
from wgan.networks.layers import NORM_LAYERS

__all__ = [
    "R1",
    "R2",
    "Constraint",
    "GradientNormPenalty",
    "GradientPenalty",
    "LipschitzPenalty",
    "Orthogonal",
    "SpectralNorm",
    "Sum",
    "Unconstrained",
    "WeightClipping",
    "prepared",
    "with_penalties",
]


@final
class Unconstrained(Constraint):
    """Lets the critic be anything: for the classic GAN losses."""

    label = "no constraint"

    def __str__(self) -> str:
        return self.label


@final
class WeightClipping(Constraint):
    r"""Clamps every weight outside norm layers into :math:`[-c, c]` after each critic step.

    .. math:: w \leftarrow \min(c, \max(-c, w))

    Norm layers, and weights that you froze, stay as they are. A critic without norm layers is then :math:`K`-Lipschitz
    for a :math:`K` that depends on :math:`c` and the architecture only. It is not computed in training, and so the
    estimate's scale is arbitrary.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875

    Args:
        weight: The bound :math:`c`.
        every: 1, for it holds at every step.
    """

    label = "weight clipping"
    bounds = True

    def __init__(self, weight: float = 0.01, every: int = 1) -> None:
        super().__init__(weight, every)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        for module in critic.modules():
            if not isinstance(module, NORM_LAYERS):
                for weight in module.parameters(recurse=False):
                    if weight.requires_grad:
                        weight.clamp_(-self.weight, self.weight)


@final
class Sum(Constraint):
    """Several constraints at once, each with its own weight and interval.

    Args:
        *parts: The constraints, or sums of them.

    Raises:
        UsageError: Two of them set or bound the same weights, or one pulls the critic's slope above what another
            allows, so that they do not keep their promises.
    """

    def __init__(self, *parts: Constraint) -> None:
        super().__init__()
        self._parts = parts_of(*parts)
        if len(rivals := [part.label for part in self._parts if part.bounds]) > 1:
            raise UsageError(f"{' and '.join(rivals)} would act on the same weights; use one of them.")
        known = [(part, *part.slope) for part in self._parts if part.slope]
        for (part, least, _), (other, _, most) in product(known, repeat=2):
            if least > most:
                raise UsageError(
                    f"{part} pulls the critic's slope to {least:g}, and {other} allows {most:g}; use one of them."
                )
        self.certified = any(part.certified for part in parts)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self._parts))

    def __str__(self) -> str:
        return " + ".join(map(str, self._parts))

    @property
    def parts(self) -> tuple[Constraint, ...]:
        return self._parts

    @property
    def slope(self) -> tuple[float, float] | None:
        slopes = [part.slope for part in self.parts]
        known = [slope for slope in slopes if slope is not None]
        if not known:
            return None
        least = 0.0 if None in slopes else max(low for low, _ in known)  # such a part may flatten the critic further
        return least, min(high for _, high in known)

    def prepare(self, critic: nn.Module) -> nn.Module:
        for part in self.parts:
            critic = part.prepare(critic)
        return critic

    def project(self, critic: nn.Module) -> None:
        for part in self.parts:
            part.project(critic)
