"""The parts that families share: what follows a convolution, the layers themselves, and first weights."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, get_args

import torch
from torch import Tensor, nn

from wgan.config import Init, Norm
from wgan.errors import UsageError
from wgan.networks.base import Latent, describe
from wgan.networks.channels_last import ChannelsLast
from wgan.networks.convolutions import Conv2d, ConvTranspose2d
from wgan.networks.modulation import Guided, Modulated
from wgan.networks.norms import InstanceNorm2d
from wgan.networks.sizes import Size, down_padding, up_padding
from wgan.registry import no_such

Module = TypeVar("Module", bound=nn.Module)

NORMS, INITS = get_args(Norm), get_args(Init)
SLOPE = 0.2
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(SLOPE),
    "silu": nn.SiLU,
}
NORM_LAYERS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


def has_batch_norm(module: nn.Module) -> bool:
    """Whether a network has a batch norm of PyTorch's, which mixes the samples of a batch."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


@dataclass(frozen=True)
class Style:
    """What follows every hidden layer: norm, activation, dropout, in this order.

    Args:
        norm: ``none``, ``batch``, ``instance`` (never with running statistics) or ``layer``.
        affine: Whether norms have gains and biases of their own.
        activation: ``relu``, ``leaky_relu`` (slope 0.2) or ``silu``; all can be differentiated twice.
        dropout: The share of activations dropped.
        latent: The noise on which the gains of norms hang (:mod:`wgan.networks.modulation`), if they do.

    References:
        Batch Normalization (Ioffe and Szegedy, 2015), https://arxiv.org/abs/1502.03167
        Instance Normalization (Ulyanov et al., 2016), https://arxiv.org/abs/1607.08022
        Layer Normalization (Ba et al., 2016), https://arxiv.org/abs/1607.06450

    Raises:
        UsageError: A name is unknown, the dropout is outside [0, 1), or gains depend on the latent but there are none.
    """

    norm: str
    affine: bool
    activation: str
    dropout: float = 0.0
    latent: Latent | None = None

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UsageError(no_such("norm", self.norm, NORMS))
        if self.activation not in ACTIVATIONS:
            raise UsageError(no_such("activation", self.activation, ACTIVATIONS))
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout:g}; give a share from 0 up to, but not, 1.")
        if self.latent and (self.norm == "none" or not self.affine):
            raise UsageError("modulate is about the gains of norms, but there are none; leave it out, or turn them on.")

    def make_norm(self, channels: int, size: Size | None) -> nn.Module | None:
        """The norm over maps (N, channels, *size), or over vectors (N, channels) if size is None."""
        norm = self._plain_norm(channels, size, self.affine and not self.latent)
        return Modulated(norm, self.latent, channels) if norm is not None and self.latent else norm

    def _plain_norm(self, channels: int, size: Size | None, affine: bool) -> nn.Module | None:
        if self.norm == "batch":
            kind = nn.BatchNorm1d if size is None else nn.BatchNorm2d
            return kind(channels, affine=affine)
        if self.norm == "layer":
            if size is None:
                return nn.LayerNorm(channels, elementwise_affine=affine)
            return nn.GroupNorm(1, channels, affine=affine)
        # The instance norm of a single pixel would be 0 whatever the pixel is, and PyTorch refuses it.
        if self.norm == "instance" and size is not None and size != (1, 1):
            return InstanceNorm2d(channels, affine=affine)
        return None

    def make_activation(self) -> nn.Module:
        """A new activation layer."""
        return ACTIVATIONS[self.activation]()

    def stage(
        self, layer: Callable[..., nn.Module], channels: int, size: Size | None, *, normed: bool = True
    ) -> nn.Sequential:
        """``layer`` with all that follows it; it is made without a bias where a norm would undo the bias.

        Args:
            layer: Called with ``bias=``; makes the linear layer or convolution.
            channels: How many channels it returns.
            size: Height and width of the maps it returns; None for vectors.
            normed: False leaves the norm out.
        """
        norm = self.make_norm(channels, size) if normed else None
        return sequence([layer(bias=norm is None), norm, self.make_activation(), *self.make_dropout()])

    def make_dropout(self) -> list[nn.Module]:
        """A dropout layer, or nothing."""
        return [nn.Dropout(self.dropout)] if self.dropout else []


def sequence(layers: Iterable[nn.Module | None]) -> nn.Sequential:
    """The layers one after the other, without the Nones."""
    there = [layer for layer in layers if layer is not None]
    return Guided(*there) if any(isinstance(layer, Modulated) for layer in there) else nn.Sequential(*there)


def lift(latent: int, channels: int, size: Size, *, bias: bool = True) -> nn.Sequential:
    """A linear layer from latents (N, latent) to maps (N, channels, *size)."""
    flat = nn.Linear(latent, channels * size[0] * size[1], bias=bias)
    return nn.Sequential(flat, nn.Unflatten(1, (channels, *size)), ChannelsLast())


def upscale(channels: int, into: int, size: Size, target: Size, kernel: int, *, bias: bool = True) -> ConvTranspose2d:
    """A transposed convolution of stride 2 from maps of one size to maps of exactly the target size."""
    padding, output_padding = up_padding(size, target, kernel)
    return ConvTranspose2d(channels, into, kernel, 2, padding, output_padding, bias=bias)


def downscale(channels: int, into: int, size: Size, kernel: int, *, bias: bool = True) -> Conv2d:
    """A convolution of stride 2 that halves maps of the given size, rounding up."""
    return Conv2d(channels, into, kernel, 2, down_padding(size, kernel), bias=bias)


def keep(channels: int, into: int, kernel: int = 3, *, bias: bool = True) -> Conv2d:
    """A convolution of stride 1 that keeps the size; the kernel's side is odd."""
    return Conv2d(channels, into, kernel, padding=kernel // 2, bias=bias)


class Squash(nn.Module):
    r"""Pixels from numbers, :math:`\tanh(g x)`, in float32 or wider, also under ``torch.autocast``.

    A tanh has slope :math:`1 - y^2`, and bfloat16 no y between 1 - 1/256 and 1: white and black pixels, those for which
    :math:`|g x|` is above 3.5, would have a slope of 0, and those near them one of few slopes.

    Args:
        gain: g. Black and white are where a tanh has seen 4 or more, and Adam, which moves no weight by more than its
            learning rate, is slow to take the few weights of a last layer there.
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return torch.tanh(wide if self.gain == 1 else self.gain * wide)

    def extra_repr(self) -> str:
        """The gain."""
        return f"gain={self.gain:g}"


def picture(shape: tuple[int, ...], family: str) -> tuple[int, Size]:
    """Channels and (height, width) of pictures.

    Raises:
        UsageError: The shape is that of vectors.
    """
    if len(shape) != 3:
        raise UsageError(f"{family} networks are for pictures, not for vectors of {describe(shape)}: use family 'mlp'.")
    return shape[0], (shape[1], shape[2])


def initialise(network: Module, init: str) -> Module:
    """Set the first weights and return the network.

    ``default`` leaves them as they were made. ``normal`` is DCGAN's choice: weights N(0, 0.02^2), gains
    N(1, 0.02^2), biases 0; gains computed from the latent keep their own.

    References:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2015), https://arxiv.org/abs/1511.06434

    Raises:
        UsageError: The name is unknown.
    """
    if init not in INITS:
        raise UsageError(no_such("init", init, INITS))
    if init == "normal":
        network.apply(_normal)
    return network


def _normal(module: nn.Module) -> None:
    if isinstance(module, Modulated):  # it comes after its parts
        module.reset()
        return
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif not isinstance(module, NORM_LAYERS):
        return
    elif module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(module.bias, Tensor):
        nn.init.zeros_(module.bias)
