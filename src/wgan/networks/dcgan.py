"""Strided convolutions, one a halving, as in DCGAN, for any height and width.

The picture is halved (rounding up) while its smaller side is above 4: 64, 32, 16, 8, 4 or 28, 14, 7, 4. The critic
walks down this chain, the generator walks up, and each transposed convolution is padded to hit the next size exactly.

References:
    Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    (Radford et al., 2015), https://arxiv.org/abs/1511.06434
    Wasserstein GAN (Arjovsky et al., 2017), https://arxiv.org/abs/1701.07875
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import nn

from wgan.errors import UsageError
from wgan.networks.base import Critic, Generator, Latent
from wgan.networks.layers import Squash, Style, downscale, initialise, keep, lift, picture, upscale
from wgan.networks.modulation import Guided
from wgan.networks.sizes import Depths, Size, chain, doubling, halvings, to_a_point

KERNELS = (3, 4, 5)
GAIN = 3.0


def generator(
    shape: tuple[int, ...],
    latent: Latent,
    *,
    width: int = 32,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str = "batch",
    affine: bool = True,
    activation: str = "relu",
    kernel: int = 4,
    refine: bool | None = None,
    modulate: bool | None = None,
    init: str = "default",
) -> Generator:
    """Latents (N, L) to pictures (N, C, H, W) in [-1, 1].

    Args:
        shape: (C, H, W).
        latent: The noise.
        width: Channels of the largest hidden maps; they double towards the latent, up to 16 times.
        depth: How many times the picture is halved.
        widths: Channels from the latent to the picture, instead. As many as the depth: the last transposed
            convolution makes the picture. One more: a 3x3 convolution makes it.
        norm: ``batch``, ``instance``, ``layer`` or ``none``.
        affine: Whether norms have gains and biases.
        activation: ``relu``, ``leaky_relu`` or ``silu``.
        kernel: Side of the transposed convolutions' kernels: 3, 4 or 5.
        refine: Whether the last transposed convolution goes to maps of full size, of ``width`` channels, from which a
            3x3 convolution with a gain of 3 makes the picture. By default yes, unless there are ``widths``: then they
            say it, without a gain. A picture too small to halve is always made by a convolution.
        modulate: Whether the gains of norms are computed from the latent (:mod:`wgan.networks.modulation`). By default
            yes, if norms have gains and there are no ``widths``.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "dcgan")
    modulate = norm != "none" and affine and widths is None if modulate is None else modulate
    style = Style(norm, affine, activation, latent=latent if modulate else None)
    refine = True if refine is None and widths is None else refine
    ends = (0, 1) if refine is None else (int(refine),)
    depths = _depths(shape, size, lambda d: tuple(d + end for end in ends) if d else (1,))
    depth, widths = depths.settle(depth, widths, partial(_narrowing, width, bool(refine)))
    sizes = chain(size, depth)[::-1]
    up = partial(upscale, kernel=_checked(kernel))
    body = Guided(style.stage(partial(lift, latent.size, widths[0], sizes[0]), widths[0], sizes[0]))
    for (a, b), (small, big) in zip(pairwise(widths), pairwise(sizes), strict=False):
        body.append(style.stage(partial(up, a, b, small, big), b, big))
    if len(widths) == depth:
        body.append(up(widths[-1], channels, sizes[-2], size))
    else:
        body.append(keep(widths[-1], channels))
    body.append(Squash(GAIN if refine else 1.0))
    settled = {"depth": depth, "refine": refine, "modulate": modulate}
    return initialise(Generator(body, latent, shape, settled), init)


def critic(
    shape: tuple[int, ...],
    *,
    width: int = 32,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str = "none",
    affine: bool = True,
    activation: str = "leaky_relu",
    kernel: int = 4,
    dropout: float = 0.0,
    init: str = "default",
) -> Critic:
    """Pictures (N, C, H, W) to scores (N,).

    Without a norm by default, for batch norm mixes the samples whose gradients a penalty looks at one by
    one. A picture too small to halve gets one 3x3 convolution of stride 1, so that the critic is not
    linear.

    Args:
        shape: (C, H, W).
        width: Channels of the first maps; they double with each halving, up to 16 times.
        depth: How many times the picture is halved.
        widths: Channels from the picture to the score, instead.
        norm: ``batch``, ``instance``, ``layer`` or ``none``; never after the first convolution.
        affine: Whether norms have gains and biases.
        activation: ``relu``, ``leaky_relu`` or ``silu``.
        kernel: Side of the strided convolutions' kernels: 3, 4 or 5.
        dropout: Share of activations dropped after each convolution.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "dcgan")
    style = Style(norm, affine, activation, dropout)
    depths = _depths(shape, size, lambda d: (max(d, 1),))
    depth, widths = depths.settle(depth, widths, lambda d: doubling(width, max(d, 1)))
    sizes = chain(size, depth)
    features = nn.Sequential()
    for i, (a, b) in enumerate(pairwise((channels, *widths))):
        layer = partial(downscale, a, b, sizes[i], _checked(kernel)) if depth else partial(keep, a, b)
        features.append(style.stage(layer, b, sizes[min(i + 1, depth)], normed=i > 0))
    height, breadth = sizes[-1]
    return initialise(Critic(features, widths[-1] * height * breadth, shape), init)


def _narrowing(width: int, refine: bool, depth: int) -> tuple[int, ...]:
    """The widths from the latent to the picture; refined, the last one is there once more, at full size."""
    halves = doubling(width, max(depth, 1))[::-1]
    return (*halves, width) if refine and depth else halves


def _depths(shape: tuple[int, ...], size: Size, lengths: Callable[[int], tuple[int, ...]]) -> Depths:
    return Depths(shape, halvings(size, lambda s: min(s) <= 4), 0, to_a_point(size), lengths)


def _checked(kernel: int) -> int:
    if kernel not in KERNELS:
        raise UsageError(f"kernel is {kernel}; give 3, 4 or 5.")
    return kernel
