"""Orthogonal weights: a critic whose Lipschitz constant is known, at the price of a plain step."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import isqrt
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wgan.constraints.base import Constraint
from wgan.errors import UsageError
from wgan.networks.base import Critic, detached_copy
from wgan.networks.channels_last import Head
from wgan.networks.convolutions import Conv2d
from wgan.networks.layers import NORM_LAYERS
from wgan.networks.lipschitz import ONE_LIPSCHITZ, GlobalPool, OrthogonalConv2d, newton_schulz, polar, tangent
from wgan.networks.resnet import Residual
from wgan.networks.sorting import MaxMin


@final
class Orthogonal(Constraint):
    r"""Keeps every matrix of the critic orthogonal, so that its Lipschitz constant is at most K for certain.

    .. math:: W W^\top = c^2 I \quad \text{or} \quad W^\top W = c^2 I, \qquad c = K \text{ for the last matrix, else } 1

    whichever product is the smaller one. The critic is prepared so that all its layers keep norms: linear layers start
    at their polar factor, ``nn.Conv2d`` becomes :class:`~wgan.networks.lipschitz.OrthogonalConv2d`, ReLU and leaky
    ReLU, which lose gradient norm, become :class:`~wgan.networks.sorting.MaxMin`, the sum of a residual block a mean,
    and pools are scaled to norm 1. That goes for layers that you froze, too, which stay frozen: K is the product of the
    norms of all matrices. A convolution's weights begin again.
    The optimizer sees only the part of a gradient that keeps a matrix orthogonal, and Newton-Schulz steps bring the
    weights back after it: without the first, Adam would spend its step on what the second undoes. The constant holds
    for the weights as float32; in bfloat16 scores are rounded as in any network.

    References:
        Sorting out Lipschitz function approximation (Anil, Lucas, Grosse, 2019), https://arxiv.org/abs/1811.05381

    Args:
        weight: The constant K; the last matrix has this norm, all others 1. Records divide scores by K, so that
            estimates are in the data's units.
        every: 1, for it holds at every step.

    Raises:
        UsageError: The weight is 0, negative or not finite.
        UsageError: The critic has a layer that cannot be made so, when it is prepared.
    """

    label = "orthogonal weights"
    bounds = True
    certified = True

    @property
    def slope(self) -> tuple[float, float]:
        return 0.0, self.weight

    @torch.no_grad()
    def prepare(self, critic: nn.Module) -> nn.Module:
        trial = _keeping_norms(detached_copy(critic), "itself", {})  # so that a refusal leaves the critic as it was
        if self.weight != 1:
            _check_last(trial)
        critic = _keeping_norms(critic, "itself", {})
        for weight, norm in self._matrices(critic):
            weight.copy_(polar(weight) * norm)
            if weight.requires_grad:
                weight.register_hook(partial(tangent, weight=weight, norm=norm))
        return critic

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        for weight, norm in self._matrices(critic):
            weight.copy_(newton_schulz(weight, norm=norm))

    def _matrices(self, critic: nn.Module) -> Iterator[tuple[Tensor, float]]:
        """The critic's matrices and the norm that each should have."""
        found: list[Tensor] = []
        for module in filter(_has_matrix, critic.modules()):
            for weight in module.parameters(recurse=False):
                if weight.dim() == 2:  # one that layers share counts once, where it comes last
                    found = [*(other for other in found if other is not weight), weight]
        for number, matrix in enumerate(found, 1):
            yield matrix, self.weight if number == len(found) else 1.0


def _check_last(critic: nn.Module) -> None:
    """Refuse a critic whose slope would not be the norm of its last matrix."""
    layers = [module for _, module in critic.named_modules(remove_duplicate=False) if _has_matrix(module)]
    weights = [id(weight) for layer in layers for weight in layer.parameters(recurse=False) if weight.dim() == 2]
    if weights.count(weights[-1] if weights else 0) > 1:
        raise UsageError("orthogonal weights: the critic's last layer is used more than once; use --weight 1.")
    blocks = [module for module in critic.modules() if isinstance(module, Residual)]
    if any(id(weight) == weights[-1] for block in blocks for weight in block.parameters()):
        raise UsageError(
            "orthogonal weights: the critic ends with a residual block; end with a layer, or use --weight 1."
        )


def _has_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | OrthogonalConv2d)


def _keeping_norms(module: nn.Module, name: str, made: dict[nn.Module, nn.Module]) -> nn.Module:
    """The module that takes the place of this one and keeps norms; ``made`` has those of layers that come again.

    Raises:
        UsageError: There is none; the message has the layer's name and the remedy.
    """
    if module not in made:
        made[module] = _replaced(module, name, made)
    return made[module]


def _replaced(module: nn.Module, name: str, made: dict[nn.Module, nn.Module]) -> nn.Module:
    kind = type(module)
    if kind in (nn.Sequential, Critic, Residual):
        for part, child in module._modules.items():  # with those that are there twice
            if child is not None:
                setattr(module, part, _keeping_norms(child, part if name == "itself" else f"{name}.{part}", made))
        if isinstance(module, Residual):
            module.scale = 0.5
        return module
    try:
        if parametrize.is_parametrized(module) or "weight" in vars(module):  # the latter by a hook, at each pass
            raise UsageError("has weights that another constraint sets; use one of the two.")
        return REPLACED[kind](module) if kind in REPLACED else _kept(module)
    except UsageError as error:
        raise UsageError(f"orthogonal weights: the critic's layer {name} ({kind.__name__}) {error}") from None


def _kept(module: nn.Module) -> nn.Module:
    if type(module) in KEPT or (isinstance(module, nn.Dropout) and not module.p):
        return module
    if isinstance(module, NORM_LAYERS):
        raise UsageError("rescales what the others bound; use norm='none' (--critic-norm none).")
    if isinstance(module, nn.Dropout):
        raise UsageError(f"scales activations by {1 / (1 - module.p):.3g}; use dropout=0 (--critic-dropout 0).")
    if isinstance(module, nn.SiLU):
        raise UsageError(
            "has slopes up to 1.1; use activation='relu' (--critic-activation relu), which becomes MaxMin."
        )
    raise UsageError(
        "has no bound here; build the critic with nn.Sequential from linear layers, 2-D convolutions, ReLU or MaxMin, "
        "or use the constraint lp."
    )


def _convolution(module: Any) -> nn.Module:
    if module.groups != 1 or module.dilation != (1, 1) or module.padding_mode != "zeros" or module.padding == "same":
        raise UsageError(
            "has groups, dilation or another padding than zeros; only plain convolutions are made orthogonal."
        )
    padding = (0, 0) if module.padding == "valid" else module.padding
    sizes = module.in_channels, module.out_channels, module.kernel_size, module.stride, padding
    made = OrthogonalConv2d(*sizes, bias=module.bias is not None).to(module.weight)
    made.requires_grad_(module.weight.requires_grad)
    if made.bias is not None:
        made.bias.requires_grad_(module.bias.requires_grad)
    return made


def _pool(module: Any) -> nn.Module:
    sides = [side if isinstance(side, tuple) else (side, side) for side in (module.kernel_size, module.stride)]
    root = isqrt(sides[0][0] * sides[0][1])
    if sides[0] != sides[1] or module.padding not in (0, (0, 0)) or root**2 != sides[0][0] * sides[0][1]:
        raise UsageError("has windows that overlap or are padded or oblong; use nn.AvgPool2d(k) of square windows.")
    return nn.AvgPool2d(module.kernel_size, ceil_mode=module.ceil_mode, divisor_override=root)


def _global_pool(module: Any) -> nn.Module:
    if module.output_size not in (1, (1, 1)):
        raise UsageError("has windows that may overlap; use nn.AdaptiveAvgPool2d(1) or nn.AvgPool2d(k).")
    return GlobalPool()


REPLACED: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = {
    **dict.fromkeys((nn.Conv2d, Conv2d), _convolution),
    nn.ReLU: lambda _: MaxMin(),
    nn.LeakyReLU: lambda _: MaxMin(),
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _global_pool,
}
KEPT = (nn.Linear, Head, OrthogonalConv2d, *ONE_LIPSCHITZ)
