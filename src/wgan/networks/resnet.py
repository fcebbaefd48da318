r"""Residual blocks: the 32 and 64 pixel networks of the gradient penalty's paper, for any height and width.

A block is :math:`x \mapsto s(x) + r(x)` with a residual r of two 3x3 convolutions, each after its norm and
activation, and a shortcut s: the identity, or a 1x1 convolution beside the same resampling. Up means
nearest neighbours to exactly the next size, down means 2x2 means with a smaller window at an odd border.
Pictures whose smaller side is above 48 get the large networks, with doubled widths and a linear layer over
the last map; others equal widths and a global mean.

References:
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
    Identity Mappings in Deep Residual Networks (He et al., 2016), https://arxiv.org/abs/1603.05027
    Delving Deep into Rectifiers (He et al., 2015), https://arxiv.org/abs/1502.01852 (first weights)
"""

from itertools import pairwise

from torch import Tensor, nn

from wgan.networks.base import Critic, Generator, Latent
from wgan.networks.layers import Squash, Style, initialise, keep, lift, picture, sequence
from wgan.networks.sizes import Depths, Size, chain, check_width, doubling, halvings, to_a_point

LARGE = 48
"""Pictures whose smaller side is above this get the large networks."""
PLAIN = 2
"""Blocks that keep the size, at the end of the small critic; also how often it halves by default."""


class Residual(nn.Module):
    """The sum of two ways, ``scale`` times (1 unless a constraint wants their mean).

    Args:
        residual: The long way.
        shortcut: The short one; None is the identity.
    """

    def __init__(self, residual: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.scale = 1.0
        for layer in residual.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Maps to maps."""
        short: Tensor = self.shortcut(x)
        long: Tensor = self.residual(x)
        return short + long if self.scale == 1 else self.scale * (short + long)


def generator(
    shape: tuple[int, ...],
    latent: Latent,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str = "batch",
    affine: bool = True,
    activation: str = "relu",
    init: str = "default",
) -> Generator:
    """Latents (N, L) to pictures (N, C, H, W) in [-1, 1].

    Args:
        shape: (C, H, W).
        latent: The noise.
        width: Small: of all maps (128). Large: of the largest maps (64), doubling towards the latent up to
            8 times.
        depth: How many times sizes double; by default from a smaller side of 4 to 7.
        widths: depth + 1 widths from the latent to the picture, instead.
        norm: ``batch``, ``instance``, ``layer`` or ``none``.
        affine: Whether norms have gains and biases.
        activation: ``relu``, ``leaky_relu`` or ``silu``.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "resnet")
    style = Style(norm, affine, activation)
    depths = Depths(shape, _chain_depth(size), 0, to_a_point(size), lambda d: (d + 1,))

    def fill(depth: int) -> tuple[int, ...]:
        rising = _rising(size, width, max(depth, 1))
        return (rising[-1], *rising[::-1])[: depth + 1]

    depth, widths = depths.settle(depth, widths, fill)
    sizes = chain(size, depth)[::-1]
    body = nn.Sequential(lift(latent.size, widths[0], sizes[0]))
    for (a, b), (small, big) in zip(pairwise(widths), pairwise(sizes), strict=True):
        body.append(_up(a, b, small, big, style))
    last = [style.make_norm(widths[-1], size), style.make_activation(), keep(widths[-1], channels), Squash()]
    return initialise(Generator(body.extend(sequence(last)), latent, shape, {"depth": depth}), init)


def critic(
    shape: tuple[int, ...],
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: tuple[int, ...] | None = None,
    norm: str | None = None,
    affine: bool = True,
    activation: str = "relu",
    dropout: float = 0.0,
    init: str = "default",
) -> Critic:
    """Pictures (N, C, H, W) to scores (N,).

    Small: a first block without norm that begins with its convolution, for pictures need no activation; blocks
    that halve, two that do not, a global mean. Large: a 3x3 convolution, blocks that halve, and the last maps as
    they are.

    Args:
        shape: (C, H, W).
        width: Small: of all maps (128). Large: of the first maps (64), doubling up to 8 times.
        depth: How many times the picture is halved; by default small: twice, large: to a smaller side of 4
            to 7.
        widths: From the picture to the score, instead; small: one for each block, two more than the depth; large:
            of the first convolution and of each block, one more than the depth.
        norm: ``layer``, ``instance``, ``batch`` or ``none``; by default small: none, large: layer, as in the paper.
        affine: Whether norms have gains and biases.
        activation: ``relu``, ``leaky_relu`` or ``silu``.
        dropout: Share of activations dropped after each block.
        init: ``default`` or ``normal``.

    Raises:
        UsageError: The shape is that of vectors, or an option has an impossible value.
    """
    channels, size = picture(shape, "resnet")
    large = _is_large(size)
    style = Style(norm or ("layer" if large else "none"), affine, activation, dropout)
    default = _chain_depth(size) if large else min(_chain_depth(size), PLAIN)
    depths = Depths(shape, default, 0, to_a_point(size), lambda d: (d + 1 if large else max(d, 1) + PLAIN,))

    def fill(depth: int) -> tuple[int, ...]:
        if not large:
            return _rising(size, width, max(depth, 1) + PLAIN)
        rising = _rising(size, width, max(depth, 1))
        return (*rising, rising[-1])[: depth + 1]

    depth, widths = depths.settle(depth, widths, fill)
    sizes = chain(size, depth)
    first = keep(channels, widths[0]) if large else _first(channels, widths[0], depth > 0, style)
    features = nn.Sequential(first, *style.make_dropout())
    for i, (a, b) in enumerate(pairwise(widths), 0 if large else 1):
        features.extend([_down(a, b, sizes[min(i, depth)], i < depth, style), *style.make_dropout()])
    features.append(style.make_activation())
    if not large:
        return initialise(Critic(features.append(nn.AdaptiveAvgPool2d(1)), widths[-1], shape), init)
    height, breadth = sizes[-1]
    return initialise(Critic(features, widths[-1] * height * breadth, shape), init)


def _is_large(size: Size) -> bool:
    return min(size) > LARGE


def _chain_depth(size: Size) -> int:
    return halvings(size, lambda s: min(s) < 8)


def _rising(size: Size, width: int | None, count: int) -> tuple[int, ...]:
    """Widths from the picture inwards."""
    if _is_large(size):
        return doubling(64 if width is None else width, count, most=8)
    return (check_width(128 if width is None else width),) * count


def _up(channels: int, into: int, size: Size, target: Size, style: Style) -> Residual:
    """A block from maps of one size to maps of exactly the target size."""
    norm = style.make_norm(into, target)
    residual = sequence(
        [
            style.make_norm(channels, size),
            style.make_activation(),
            nn.Upsample(target),
            keep(channels, into, bias=norm is None),
            norm,
            style.make_activation(),
            keep(into, into),
        ]
    )
    return Residual(residual, nn.Sequential(nn.Upsample(target), keep(channels, into, 1)))


def _down(channels: int, into: int, size: Size, pooled: bool, style: Style) -> Residual:
    """A block that halves maps of the given size, or keeps it.

    Its first convolution changes the channels in a block that keeps the size, the second in one that halves.
    """
    inner = channels if pooled else into
    norm = style.make_norm(inner, size)
    residual = sequence(
        [
            style.make_norm(channels, size),
            style.make_activation(),
            keep(channels, inner, bias=norm is None),
            norm,
            style.make_activation(),
            keep(inner, into),
            _mean() if pooled else None,
        ]
    )
    if not pooled and channels == into:
        return Residual(residual, None)
    return Residual(residual, sequence([_mean() if pooled else None, keep(channels, into, 1)]))


def _first(channels: int, into: int, pooled: bool, style: Style) -> Residual:
    """The critic's first block: no norm, and no activation before its first convolution."""
    pool = [_mean()] if pooled else []
    residual = [keep(channels, into), style.make_activation(), keep(into, into), *pool]
    return Residual(nn.Sequential(*residual), nn.Sequential(*pool, keep(channels, into, 1)))


def _mean() -> nn.AvgPool2d:
    """Means over 2x2 windows; at an odd border the window is cut, so that sides are halved rounding up."""
    return nn.AvgPool2d(2, ceil_mode=True)
