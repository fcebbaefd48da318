"""Spectral norm of every layer."""

from collections.abc import Iterator, Sequence
from typing import final

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from wgan.constraints.base import Constraint
from wgan.constraints.leftovers import mark
from wgan.errors import UsageError
from wgan.networks.layers import NORM_LAYERS


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.factor


@final
class SpectralNorm(Constraint):
    r"""Divides every linear layer's and convolution's weight, as a matrix, by its largest singular value.

    .. math:: W \mapsto K \, W / \sigma(W)

    The singular value is followed by one power iteration at each pass in training. A convolution's matrix is its kernel
    reshaped to (out, in x k x k), as in the paper, and the convolution may be k times as steep: the critic's constant
    is not known. Biases and gains, which have one axis, and tables of embeddings stay as they are; any other weight of
    two or more axes that trains is refused.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        https://arxiv.org/abs/1802.05957

    Args:
        weight: The largest singular value :math:`K` that each layer is left with.
        every: 1, for it holds at every step.
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
