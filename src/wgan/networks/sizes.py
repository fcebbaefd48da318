"""From a picture's size to a network's plan: the chain of sizes, the paddings that hit it, the widths.

A chain starts at the picture and halves both sides, each on its own and never below 1, so that any height
and width work.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wgan.errors import UsageError
from wgan.networks.base import describe

Size = tuple[int, int]
Half = Callable[[int], int]


def ceil_half(side: int) -> int:
    r""":math:`\lceil s / 2 \rceil`: 28, 14, 7, 4, 2, 1."""
    return (side + 1) // 2


def even_half(side: int) -> int:
    r""":math:`2 \lceil s / 4 \rceil`, and 1 below 3: the half rounded up to even. 28, 14, 8, 4, 2, 1."""
    return 1 if side <= 2 else 2 * ((side + 3) // 4)


def chain(size: Size, depth: int, half: Half = ceil_half) -> list[Size]:
    """The ``depth + 1`` sizes from the picture down to the smallest map."""
    sizes = [size]
    for _ in range(depth):
        height, width = sizes[-1]
        sizes.append((half(height), half(width)))
    return sizes


def halvings(size: Size, done: Callable[[Size], bool], half: Half = ceil_half) -> int:
    """How many halvings it takes until ``done``; ``done((1, 1))`` must hold."""
    count = 0
    while not done(size):
        size = half(size[0]), half(size[1])
        count += 1
    return count


def to_a_point(size: Size, half: Half = ceil_half) -> int:
    """How many halvings it takes until both sides are 1: more would change nothing."""
    return halvings(size, lambda s: max(s) == 1, half)


def down_padding(size: Size, kernel: int) -> Size:
    r"""The padding with which a convolution of stride 2 turns s into :math:`\lceil s / 2 \rceil`.

    From :math:`\lfloor (s + 2p - k) / 2 \rfloor + 1 = \lceil s / 2 \rceil`, with the smallest p.
    """
    height, width = ((2 * ceil_half(side) - 2 + kernel - side + 1) // 2 for side in size)
    return height, width


def up_padding(size: Size, target: Size, kernel: int) -> tuple[Size, Size]:
    """The padding p and output padding o with which a transposed convolution of stride 2 hits ``target``.

    From :math:`t = 2 s + k - 2 - 2 p + o` with o in {0, 1}.

    References:
        A guide to convolution arithmetic for deep learning (Dumoulin and Visin, 2016),
        https://arxiv.org/abs/1603.07285
    """
    surplus = [2 * side + kernel - 2 - goal for side, goal in zip(size, target, strict=True)]
    height, width = ((s + 1) // 2 for s in surplus)
    return (height, width), (surplus[0] % 2, surplus[1] % 2)


def doubling(width: int, count: int, most: int = 16) -> tuple[int, ...]:
    """``count`` widths: width, 2 width, 4 width ... but never above ``most`` times the first.

    Raises:
        UsageError: The width is below 1.
    """
    return tuple(check_width(width) * min(2**i, most) for i in range(count))


def check_width(width: int) -> int:
    """The width itself.

    Raises:
        UsageError: It is below 1.
    """
    if width < 1:
        raise UsageError(f"width is {width}; give at least 1.")
    return width


@dataclass(frozen=True)
class Depths:
    """The depths a network can have on data of one shape, and how many widths each of them takes.

    Args:
        shape: Of one sample, for the messages.
        default: The family's choice.
        least: The smallest depth.
        most: The largest depth.
        lengths: From a depth to the numbers of widths that fit it.
    """

    shape: tuple[int, ...]
    default: int
    least: int
    most: int
    lengths: Callable[[int], tuple[int, ...]]

    def settle(
        self, depth: int | None, widths: tuple[int, ...] | None, fill: Callable[[int], tuple[int, ...]]
    ) -> tuple[int, tuple[int, ...]]:
        """Depth and widths from what was asked for; ``fill`` makes the widths of a depth when none are given.

        Raises:
            UsageError: The depth is impossible, a width is below 1, or their numbers do not fit.
        """
        depth = self._infer(widths) if depth is None else self._check(depth)
        widths = fill(depth) if widths is None else tuple(widths)
        for width in widths:
            check_width(width)
        if len(widths) not in self.lengths(depth):
            raise UsageError(
                f"widths has {len(widths)} numbers, but depth {depth} on {describe(self.shape)} takes "
                f"{_either(self.lengths(depth))}: give that many, or leave widths or depth out."
            )
        return depth, widths

    def _check(self, depth: int) -> int:
        if not self.least <= depth <= self.most:
            allowed = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise UsageError(f"depth {depth} is impossible on {describe(self.shape)}: give {allowed}.")
        return depth

    def _infer(self, widths: tuple[int, ...] | None) -> int:
        """The default where the widths fit it, else the largest depth that they fit."""
        if widths is None:
            return self.default
        candidates: list[int] = [self.default, *range(self.most, self.least - 1, -1)]
        for depth in candidates:
            if len(widths) in self.lengths(depth):
                return depth
        least, most = min(self.lengths(self.least)), max(self.lengths(self.most))
        raise UsageError(
            f"widths has {len(widths)} numbers, but {describe(self.shape)} takes {least} to {most}: "
            f"give that many (by default {_either(self.lengths(self.default))})."
        )


def _either(numbers: tuple[int, ...]) -> str:
    return " or ".join(map(str, numbers))
