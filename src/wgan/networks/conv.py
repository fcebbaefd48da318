r"""3x3 convolutions only: small networks that train on a laptop.

The generator's sizes are kept even, :math:`h(s) = 2 \lceil s / 4 \rceil` and 1 below 3: 28, 14, 8, 4,
2, 1. The critic's are plain halves rounded up: 28, 14, 7, 4, 2, 1. With a ``stem`` the latent enters by a
linear layer and the critic begins with a convolution of stride 1; without, everything is strided: the
latent is a picture of one pixel.

References:
    Striving for Simplicity: The All Convolutional Net (Springenberg et al., 2014),
    https://arxiv.org/abs/1412.6806

    A guide to convolution arithmetic for deep learning (Dumoulin and Visin, 2016),
    https://arxiv.org/abs/1603.07285
"""

from functools import partial
from itertools import pairwise

from torch import nn

from wgan.networks.base import Critic, Generator, Latent
from wgan.networks.layers import Squash, Style, downscale, initialise, keep, lift, picture, upscale
from wgan.networks.sizes import Depths, Size, chain, doubling, even_half, halvings, to_a_point

KERNEL = 3
DEEPEST_BY_DEFAULT = 4


def generator(
    shape: tuple[int, ...],
    latent: Latent,
    *,
    width: int = 32,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str | None = None,
    affine: bool = True,
    activation: str | None = None,
    stem: bool = True,
    init: str = "default",
) -> Generator:
    """Latents (N, L) to pictures (N, C, H, W) in [-1, 1].

    Args:
        shape: (C, H, W).
        latent: The noise.
        width: Channels of the largest hidden maps; they double towards the latent, up to 16 times.
        depth: How many times sizes double. By default from a smaller side of 1 or 2, at most 4 times;
            without stem it is what leads from one pixel to the picture.
        widths: Channels from the latent to the picture, instead: depth + 1 of them with a stem, else depth.
        norm: By default ``layer`` with a stem, else ``instance``.
        affine: Whether norms have gains and biases.
        activation: By default ``relu`` with a stem, else ``leaky_relu``.
        stem: Whether a linear layer comes first.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "conv")
    style = _style(norm or ("layer" if stem else "instance"), affine, activation, stem)
    # One stage at least, for a linear layer and a convolution alone would be a linear generator.
    most = max(to_a_point(size, even_half), 1)
    default = _default_depth(size, 1, most) if stem else most
    depths = Depths(shape, default, 1 if stem else most, most, lambda d: (d + stem,))
    depth, widths = depths.settle(depth, widths, lambda d: doubling(width, d + stem)[::-1])
    sizes = chain(size, depth, even_half)[::-1]
    first = lift(latent.size, widths[0], sizes[0]) if stem else nn.Unflatten(1, (latent.size, 1, 1))
    body = nn.Sequential(first)
    sides = widths if stem else (latent.size, *widths)
    for (a, b), (small, big) in zip(pairwise(sides), pairwise(sizes), strict=True):
        body.append(style.stage(partial(upscale, a, b, small, big, KERNEL), b, big))
    body.extend([keep(widths[-1], channels), Squash()])
    return initialise(Generator(body, latent, shape, {"depth": depth}), init)


def critic(
    shape: tuple[int, ...],
    *,
    width: int = 32,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str | None = None,
    affine: bool = True,
    activation: str | None = None,
    stem: bool = True,
    dropout: float = 0.0,
    init: str = "default",
) -> Critic:
    """Pictures (N, C, H, W) to scores (N,).

    Args:
        shape: (C, H, W).
        width: Channels of the first maps; they double with each further convolution, up to 16 times.
        depth: How many times the picture is halved; by default until its smaller side is 1 or 2, at most 4
            times.
        widths: Channels from the picture to the score, instead: depth + 1 of them with a stem, else depth.
        norm: By default ``none`` with a stem, else ``instance``.
        affine: Whether norms have gains and biases.
        activation: By default ``relu`` with a stem, else ``leaky_relu``.
        stem: Whether a convolution of stride 1 comes first. Without it the last convolution is bare: no
            bias, norm or activation.
        dropout: Share of activations dropped after each activation.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "conv")
    style = _style(norm or ("none" if stem else "instance"), affine, activation, stem, dropout)
    # Without a stem the last convolution has no activation, so that one alone would be a linear critic.
    least = 1 if stem else 2
    most = max(to_a_point(size), least)
    depths = Depths(shape, _default_depth(size, least, most), least, most, lambda d: (d + stem,))
    depth, widths = depths.settle(depth, widths, lambda d: doubling(width, d + stem))
    sizes = chain(size, depth)
    features = nn.Sequential()
    if stem:
        features.append(style.stage(partial(keep, channels, widths[0]), widths[0], size))
    sides = widths if stem else (channels, *widths)
    for (a, b), (big, small) in zip(pairwise(sides), pairwise(sizes), strict=True):
        features.append(style.stage(partial(downscale, a, b, big, KERNEL), b, small))
    if not stem:
        features[-1] = downscale(sides[-2], sides[-1], sizes[-2], KERNEL, bias=False)
    height, breadth = sizes[-1]
    return initialise(Critic(features, widths[-1] * height * breadth, shape), init)


def _style(norm: str, affine: bool, activation: str | None, stem: bool, dropout: float = 0.0) -> Style:
    return Style(norm, affine, activation or ("relu" if stem else "leaky_relu"), dropout)


def _default_depth(size: Size, least: int, most: int) -> int:
    small = halvings(size, lambda s: min(s) <= 2)
    return min(max(small, least), DEEPEST_BY_DEFAULT, most)
