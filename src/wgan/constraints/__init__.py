"""What keeps a critic Lipschitz.

A constraint acts at one of three moments: it *prepares* the critic once (reparametrises it), adds a *penalty* to the
critic's loss, or *projects* the weights after each step. The gradient penalties differ only in where they look
(``points``) and in how they punish the gradient norm that they find there (``punish``): see :mod:`wgan.penalties`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from wgan.constraints.base import Constraint, parts_of, with_penalties
from wgan.constraints.leftovers import mark, prepared
from wgan.constraints.orthogonal import Orthogonal
from wgan.errors import UsageError
from wgan.networks.layers import NORM_LAYERS, has_batch_norm
from wgan.penalties import at_fake, at_real, gradient_norms, half_square, one_sided, segments, two_sided

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

    Norm layers, and weights that you froze, stay as they are. A critic without norm layers is then :math:`K`-Lipschitz
    for some :math:`K` that nobody knows. The estimate's scale is arbitrary.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875

    Args:
        weight: The bound :math:`c`.
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


class GradientNormPenalty(Constraint, ABC):
    """The mean of a function of the critic's gradient norms at some points; members say which and where.

    Attributes:
        norms: Least and largest mean norm between real and generated that it leads to; None if it promises none.
    """

    norms: tuple[float, float] | None = None

    @staticmethod
    @abstractmethod
    def points(real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
        """Where to look: samples (N, ...); ``between`` (N,) is uniform in [0, 1)."""

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

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, between: Tensor) -> Tensor:
        return self.punish(gradient_norms(critic, self.points(real, fake, between))).mean()


@final
class GradientPenalty(GradientNormPenalty):
    r"""Pulls the critic's gradient norm towards 1 between real and generated samples.

    .. math:: \lambda \, \mathbb{E}_{\hat x} [ (\| \nabla_{\hat x} f(\hat x) \|_2 - 1)^2 ]

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028

    Args:
        weight: The penalty's weight :math:`\lambda`.
    """

    label = "gradient penalty"
    norms = (1.0, 1.0)
    points = staticmethod(segments)
    punish = staticmethod(two_sided)


@final
class LipschitzPenalty(GradientNormPenalty):
    r"""Pushes the critic's gradient norm below 1 between real and generated samples, and leaves smaller ones alone.

    .. math:: \lambda \, \mathbb{E}_{\hat x} [ \max(0, \| \nabla_{\hat x} f(\hat x) \|_2 - 1)^2 ]

    References:
        On the regularization of Wasserstein GANs (Petzka, Fischer, Lukovnikov, 2018), https://arxiv.org/abs/1709.08894

    Args:
        weight: The penalty's weight :math:`\lambda`.
    """

    label = "one-sided gradient penalty"
    norms = (0.0, 1.0)
    points = staticmethod(segments)
    punish = staticmethod(one_sided)


@final
class R1(GradientNormPenalty):
    r"""Flattens the critic at real samples.

    .. math:: \frac{\gamma}{2} \, \mathbb{E}_{x} \| \nabla_x f(x) \|_2^2

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406

    Args:
        weight: The penalty's weight :math:`\gamma`.
    """

    label = "R1 penalty"
    points = staticmethod(at_real)
    punish = staticmethod(half_square)


@final
class R2(GradientNormPenalty):
    r"""Flattens the critic at generated samples.

    .. math:: \frac{\gamma}{2} \, \mathbb{E}_{\tilde x} \| \nabla_{\tilde x} f(\tilde x) \|_2^2

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406

    Args:
        weight: The penalty's weight :math:`\gamma`.
    """

    label = "R2 penalty"
    points = staticmethod(at_fake)
    punish = staticmethod(half_square)


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.factor


@final
class SpectralNorm(Constraint):
    r"""Divides every linear layer's weight, as a matrix, by its largest singular value.

    The singular value is followed by one power iteration at each pass in training. A convolution's matrix is its kernel
    reshaped to (out, in x k x k), as in the paper, and the convolution may be k times as steep: the critic's constant
    is not known. Biases and gains, which have one axis, and tables of embeddings stay as they are; any other weight of
    two or more axes that trains is refused.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        https://arxiv.org/abs/1802.05957

    Args:
        weight: The largest singular value that each layer is left with.
    """

    label = "spectral norm"
    bounds = True

    def prepare(self, critic: nn.Module) -> nn.Module:
        if any(isinstance(module, NORM_LAYERS) for module in critic.modules()):
            raise UsageError(
                "a norm layer in the critic undoes spectral norm, since it rescales what the layers before it bound; "
                "use norm='none' (--critic-norm none)."
            )
        layers = [module for module in critic.modules() if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)]
        if any("weight" in vars(layer) for layer in layers):
            raise UsageError(
                "spectral norm: the critic has weights that an older torch.nn.utils.spectral_norm or weight_norm sets; "
                "use one of the two."
            )
        if name := next(_unbound(critic, layers), None):
            raise UsageError(
                f"spectral norm: the critic's {name} is not the weight of a linear layer or convolution and would stay "
                "unbound; use lp or gp (--constraint lp)."
            )
        for layer in layers:
            mark(spectral_norm(layer))
            if self.weight != 1:
                parametrize.register_parametrization(layer, "weight", _Scale(self.weight))
        return critic


def _unbound(critic: nn.Module, layers: Sequence[nn.Module]) -> Iterator[str]:
    """The names of weights, with two axes longer than 1, that train and are not, or do not make, that of a layer."""
    parametrized = [layer for layer in layers if parametrize.is_parametrized(layer, "weight")]
    makers = {part for layer in parametrized for part in layer.get_submodule("parametrizations.weight").modules()}
    for place, module in critic.named_modules():
        if module in makers or isinstance(module, nn.Embedding | nn.EmbeddingBag):  # whose input is no sample
            continue
        for name, weight in module.named_parameters(recurse=False):
            bound = module in layers and name == "weight"
            if not bound and weight.requires_grad and weight.squeeze().dim() >= 2:
                yield f"{place}.{name}".lstrip(".")


@final
class Sum(Constraint):
    """Several constraints at once, each with its own weight and interval."""

    def __init__(self, *parts: Constraint) -> None:
        super().__init__()
        self._parts = parts_of(*parts)
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
        kinds = [type(part) for part in self.parts]
        if Orthogonal in kinds and (WeightClipping in kinds or SpectralNorm in kinds):
            raise UsageError(
                "orthogonal weights cannot be combined with weight clipping or spectral norm; use one of them."
            )
        for part in self.parts:
            critic = part.prepare(critic)
        return critic

    def project(self, critic: nn.Module) -> None:
        for part in self.parts:
            part.project(critic)
