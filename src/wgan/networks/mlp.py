r"""Fully connected layers: the family for vectors, and for small pictures taken as vectors of pixels.

Each hidden layer is :math:`h \leftarrow \sigma(\mathrm{norm}(W h + b))`. The generator's layers grow
towards a picture and the critic's shrink away from it; for vectors all are equally wide. The first hidden
layer has no norm.

References:
    Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028 (toys)
"""

from functools import partial
from itertools import pairwise
from math import prod

from torch import nn

from wgan.errors import UsageError
from wgan.networks.base import Critic, Generator, Latent
from wgan.networks.layers import Squash, Style, initialise
from wgan.networks.sizes import Depths, doubling

DEEPEST = 64


def generator(
    shape: tuple[int, ...],
    latent: Latent,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str | None = None,
    affine: bool = True,
    activation: str | None = None,
    init: str = "default",
) -> Generator:
    """Latents (N, L) to pictures in [-1, 1] or to unbounded vectors.

    Args:
        shape: (C, H, W) or (D,).
        latent: The noise.
        width: Of the narrowest hidden layer: pictures have 128, 256, 512, 1024 (doubling), vectors 256,
            256, 256.
        depth: How many hidden layers.
        widths: All widths, from the latent to the data, instead.
        norm: ``batch``, ``layer`` or ``none``; by default ``batch`` for pictures and ``none`` for vectors.
        affine: Whether norms have gains and biases.
        activation: By default ``leaky_relu`` for pictures and ``relu`` for vectors.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: An option has an impossible value.
    """
    flat = len(shape) == 1
    style = _style(norm or ("none" if flat else "batch"), affine, activation or ("relu" if flat else "leaky_relu"))
    default = 256 if flat else 128
    hidden = _widths(shape, 3 if flat else 4, depth, widths, default if width is None else width)
    sides = (latent.size, *hidden)
    last = [nn.Linear(sides[-1], prod(shape)), *([] if flat else [Squash()])]
    body = nn.Sequential(*_hidden(sides, style), *last)
    return initialise(Generator(body, latent, shape, {"depth": len(hidden)}), init)


def critic(
    shape: tuple[int, ...],
    *,
    width: int = 256,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str = "none",
    affine: bool = True,
    activation: str = "leaky_relu",
    dropout: float = 0.0,
    init: str = "default",
) -> Critic:
    """Pictures or vectors to scores (N,).

    Args:
        shape: (C, H, W) or (D,).
        width: Of the narrowest hidden layer: pictures have 512, 256 (halving), vectors 256, 256, 256.
        depth: How many hidden layers.
        widths: All widths, from the data to the score, instead.
        norm: ``batch``, ``layer`` or ``none``.
        affine: Whether norms have gains and biases.
        activation: ``relu``, ``leaky_relu`` or ``silu``.
        dropout: Share of activations dropped after each hidden layer.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: An option has an impossible value.
    """
    style = _style(norm, affine, activation, dropout)
    hidden = _widths(shape, 3 if len(shape) == 1 else 2, depth, widths, width, falling=True)
    sides = (prod(shape), *hidden)
    return initialise(Critic(nn.Sequential(nn.Flatten(), *_hidden(sides, style)), sides[-1], shape), init)


def _style(norm: str, affine: bool, activation: str, dropout: float = 0.0) -> Style:
    if norm == "instance":
        raise UsageError("norm 'instance' is for maps with a height and a width: use batch, layer or none.")
    return Style(norm, affine, activation, dropout)


def _widths(
    shape: tuple[int, ...],
    default: int,
    depth: int | None,
    widths: tuple[int, ...] | None,
    width: int,
    *,
    falling: bool = False,
) -> tuple[int, ...]:
    def fill(count: int) -> tuple[int, ...]:
        rising = doubling(width, count, most=1 if len(shape) == 1 else 16)
        return rising[::-1] if falling else rising

    return Depths(shape, default, 0, DEEPEST, lambda d: (d,)).settle(depth, widths, fill)[1]


def _hidden(sides: tuple[int, ...], style: Style) -> list[nn.Module]:
    """One stage for each pair of neighbours in ``sides``."""
    return [style.stage(partial(nn.Linear, a, b), b, None, normed=i > 0) for i, (a, b) in enumerate(pairwise(sides))]
