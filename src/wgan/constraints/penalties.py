r"""Penalties of the critic's gradient norm: where it is looked at, and how it is punished.

The norm is :math:`n = \|\nabla_x f(x)\|_2`, with respect to the critic's *input* and one for each sample.
"""

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn

from wgan.constraints.base import Constraint
from wgan.errors import UsageError
from wgan.networks.layers import has_batch_norm
from wgan.slopes import gradient_norms, segments


class GradientNormPenalty(Constraint, ABC):
    """The mean of a function of the critic's gradient norms at some points; members say which and where.

    Args:
        weight: What the mean is multiplied by.
        every: Critic steps from one that has the penalty, ``every`` times as strong, to the next.

    Attributes:
        norms: Least and largest mean norm between real and generated that it leads to; None if it promises none.
    """

    norms: tuple[float, float] | None = None

    @staticmethod
    @abstractmethod
    def points(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        """Where to look: samples (N, ...); ``epsilon`` (N,) is uniform in [0, 1)."""

    @staticmethod
    @abstractmethod
    def punish(norm: Tensor) -> Tensor:
        """How to punish norms (N,), one by one."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    @property
    def slope(self) -> tuple[float, float] | None:
        return self.norms if self.weight else None

    def prepare(self, critic: nn.Module) -> nn.Module:
        if has_batch_norm(critic):
            raise UsageError(
                f"batch norm in the critic mixes the samples of a batch, so the {self.label} has no gradient norm per "
                "sample to look at; use norm='layer' or 'instance' (--critic-norm layer), or weight clipping."
            )
        return critic

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        return self.punish(gradient_norms(critic, self.points(real, fake, epsilon))).mean()


@final
class GradientPenalty(GradientNormPenalty):
    r"""Pulls the critic's gradient norm towards 1 between real and generated samples.

    .. math:: \lambda \, \mathbb{E}_{\hat x} [ (\| \nabla_{\hat x} f(\hat x) \|_2 - 1)^2 ]

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028

    Args:
        weight: The penalty's weight :math:`\lambda`.
        every: Critic steps from one that has the penalty, ``every`` times as strong, to the next.
    """

    label = "gradient penalty"
    norms = (1.0, 1.0)
    points = staticmethod(segments)

    @staticmethod
    def punish(norm: Tensor) -> Tensor:
        return (norm - 1).square()


@final
class LipschitzPenalty(GradientNormPenalty):
    r"""Pushes the critic's gradient norm below 1 between real and generated samples, and leaves smaller ones alone.

    .. math:: \lambda \, \mathbb{E}_{\hat x} [ \max(0, \| \nabla_{\hat x} f(\hat x) \|_2 - 1)^2 ]

    References:
        On the regularization of Wasserstein GANs (Petzka, Fischer, Lukovnikov, 2018), https://arxiv.org/abs/1709.08894

    Args:
        weight: The penalty's weight :math:`\lambda`.
        every: Critic steps from one that has the penalty, ``every`` times as strong, to the next.
    """

    label = "one-sided gradient penalty"
    norms = (0.0, 1.0)
    points = staticmethod(segments)

    @staticmethod
    def punish(norm: Tensor) -> Tensor:
        return (norm - 1).clamp(min=0).square()


def _half_square(norm: Tensor) -> Tensor:
    return norm.square() / 2


@final
class R1(GradientNormPenalty):
    r"""Flattens the critic at real samples.

    .. math:: \frac{\gamma}{2} \, \mathbb{E}_{x} \| \nabla_x f(x) \|_2^2

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406

    Args:
        weight: The penalty's weight :math:`\gamma`.
        every: Critic steps from one that has the penalty, ``every`` times as strong, to the next.
    """

    label = "R1 penalty"
    punish = staticmethod(_half_square)

    @staticmethod
    def points(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        return real


@final
class R2(GradientNormPenalty):
    r"""Flattens the critic at generated samples.

    .. math:: \frac{\gamma}{2} \, \mathbb{E}_{\tilde x} \| \nabla_{\tilde x} f(\tilde x) \|_2^2

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406

    Args:
        weight: The penalty's weight :math:`\gamma`.
        every: Critic steps from one that has the penalty, ``every`` times as strong, to the next.
    """

    label = "R2 penalty"
    punish = staticmethod(_half_square)

    @staticmethod
    def points(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        return fake
