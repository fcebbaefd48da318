"""Two sets of samples, cut into parts: what trains a critic never tests it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from wgan.distances.samples import checked, numbers, orders, share_of_copies
from wgan.errors import UsageError
from wgan.seeds import rng

Sampler = Callable[[int, torch.Generator], Tensor]
"""Draws n samples (n, D) from an endless distribution.

It is called under ``torch.no_grad()``, so it may be a network; one that needs slopes asks for ``torch.enable_grad()``.
"""

FEWEST_SAMPLES = 200
"""Samples a side that can be cut into parts which still say something."""

CUT = {"validation": 1 / 12, "test": 1 / 6, "certify": 1 / 6}
"""Shares of a finite set; the rest trains."""

SIZES = {"train": 16_384, "validation": 8_192, "test": 65_536, "certify": 65_536}
"""Samples a side in each part, where there are as many."""

FIRST = 2048
"""Samples a side from which samplers are shifted and scaled."""

NUMBERS = 2**27
"""In a part of an endless side, at most, but for the first 2,048 samples: so that it fits into memory."""


class Part(NamedTuple):
    """Samples of both sides, float32 (n, D) and (m, D)."""

    x: Tensor
    y: Tensor


class Sides(ABC):
    """Two distributions, shifted together by one vector and scaled together by one number, as W1 allows.

    All samples that it gives are shifted and scaled.

    Args:
        x: Samples of A (n, D) from which to take the shift and the scale.
        y: Samples of B.
        seed: What all draws depend on.
        sizes: Samples of A and of B; None if they are drawn without end.

    Attributes:
        paired: Whether each sample of B was made from the one of A in its place, so that their errors are correlated.
        copies: The share of samples that repeat another one of their side, of the side where it is larger; 0 of a
            single point.
    """

    paired = False
    copies = 0.0

    def __init__(self, x: Tensor, y: Tensor, seed: int, sizes: tuple[int, int] | None) -> None:
        self.seed, self.sizes, self.dim = seed, sizes, x.shape[1]
        self.centre = (x.double().mean(0) + y.double().mean(0)) / 2
        spreads = [float((side.double() - self.centre).square().mean()) for side in (x, y)]
        self.scale = max(spreads) ** 0.5
        limits = np.finfo(np.float32)
        if not float(limits.tiny) < self.scale < float(limits.max):  # NumPy would cast the scale to float32, and warn
            if float((x - x[0]).abs().max()) or float((y - x[0]).abs().max()):
                raise UsageError("the samples' spread cannot be told from 0 or infinity; multiply both by one number.")
            self.scale = 1.0

    @abstractmethod
    def part(self, name: str) -> Part:
        """The part "validation", "test" or "certify"; of "train" some to look at, for :meth:`batch` trains."""

    @abstractmethod
    def batch(self, step: int, size: int, stream: str) -> Part:
        """A batch to train on, another one for each step."""

    @abstractmethod
    def folds(self, size: int) -> Iterator[Part]:
        """Disjoint sets of at most this many samples a side; of those that certify nothing."""

    def _scaled(self, x: Tensor, y: Tensor) -> Part:
        return Part(*(((side.double() - self.centre) / self.scale).float() for side in (x, y)))


@final
class Arrays(Sides):
    """Two arrays.

    Args:
        a: Samples (N, D).
        b: Samples (M, D).
        seed: What the cut and the batches depend on.

    Raises:
        UsageError: The samples do not suit each other, or are fewer than 200 a side.
    """

    def __init__(self, a: Any, b: Any, seed: int) -> None:
        x, y = checked(a, b)
        if min(len(x), len(y)) < FEWEST_SAMPLES:
            raise UsageError(
                f"there are {len(x):,} and {len(y):,} samples; a critic needs at least {FEWEST_SAMPLES} a side: "
                "give more, or use --method exact."
            )
        # So that equal samples of two sets, and those made from each other, fall into the same part.
        places = orders(x, y, seed)
        shuffled = [torch.from_numpy(side[order]) for side, order in zip((x, y), places, strict=True)]
        super().__init__(shuffled[0], shuffled[1], seed, (len(x), len(y)))
        self.paired = np.array_equal(*places)
        self.copies = max(map(share_of_copies, (x, y)))
        self._parts = [_cut(side) for side in self._scaled(*shuffled)]

    def part(self, name: str) -> Part:
        return Part(*(parts[name][: SIZES[name]] for parts in self._parts))

    def batch(self, step: int, size: int, stream: str) -> Part:
        draw = rng(self.seed, stream, step)
        sides = (parts["train"] for parts in self._parts)
        return Part(*(side[torch.randint(len(side), (size,), generator=draw)] for side in sides))

    def folds(self, size: int) -> Iterator[Part]:
        x, y = (torch.cat([part for name, part in parts.items() if name != "certify"]) for parts in self._parts)
        size = min(size, len(x), len(y))
        for start in range(0, min(len(x), len(y)) - size + 1, size):
            yield Part(x[start : start + size], y[start : start + size])


@final
class Samplers(Sides):
    """Two samplers.

    Args:
        a: Draws samples of A.
        b: Draws samples of B.
        seed: What they draw depends on.

    Raises:
        UsageError: They do not give samples of one dimension, not as many as they should, no finite real numbers, or
            the same ones each time.
    """

    def __init__(self, a: Sampler, b: Sampler, seed: int) -> None:
        for draw in (a, b):
            _check_call(draw)
        self._samplers = a, b
        self.seed = seed
        x, y = self._raw(FIRST, "first", 0)
        if x.dim() != 2 or x.shape[1:] != y.shape[1:] or not x.shape[1]:
            raise UsageError(f"the samplers gave {tuple(x.shape)} and {tuple(y.shape)}; both must give (n, D).")
        self._check_that_draws_differ()
        super().__init__(x, y, seed, None)

    def _check_that_draws_differ(self) -> None:
        """Refuse samplers of a fixed seed, whose critic would be tested and certified on what it was trained on."""
        for one, other in zip(self._raw(64, "look", 0), self._raw(64, "look", 1), strict=True):
            if torch.equal(one, other) and not one.eq(one[0]).all():  # a single point may come again
                raise UsageError(
                    "a sampler gives the same samples at each call; let them depend on its rng, as in "
                    "torch.randn(n, 2, generator=rng)."
                )

    def part(self, name: str) -> Part:
        return self._scaled(*self._raw(min(SIZES[name], max(FIRST, NUMBERS // self.dim)), name, 0))

    def batch(self, step: int, size: int, stream: str) -> Part:
        return self._scaled(*self._raw(size, stream, step))

    def folds(self, size: int) -> Iterator[Part]:
        return (self._scaled(*self._raw(size, "fold", k)) for k in count())

    def _raw(self, size: int, stream: str, index: int) -> Iterator[Tensor]:
        for draw, side in zip(self._samplers, "ab", strict=True):
            with torch.no_grad():
                drawn = draw(size, rng(self.seed, f"{stream} {side}", index))
            samples = torch.from_numpy(numbers(drawn, "a sampler's samples", "(n, D)"))
            if len(samples) != size:
                raise UsageError(f"a sampler gave {len(samples):,} samples where {size:,} were asked for.")
            if not samples.isfinite().all():
                raise UsageError("a sampler gave NaN or infinite values; it must give finite ones.")
            yield samples


def open_sides(a: Any, b: Any, seed: int) -> Sides:
    """Two arrays or two samplers.

    Raises:
        UsageError: They are not of one kind, or do not suit each other.
    """
    if callable(a) != callable(b):
        raise UsageError("one side is a sampler and the other is not; give two arrays, or two samplers.")
    return Samplers(a, b, seed) if callable(a) else Arrays(a, b, seed)


def _check_call(draw: Sampler) -> None:
    """Refuse a function that does not take what samplers are given."""
    try:
        inspect.signature(draw, follow_wrapped=False).bind(1, torch.Generator())
    except ValueError:  # one that is not written in Python does not say what it takes
        return
    except TypeError as error:
        raise UsageError(f"a sampler is called as draw(n, rng), and this one does not take that ({error}).") from None


def _cut(side: Tensor) -> dict[str, Tensor]:
    """Disjoint parts of shuffled samples."""
    ends = np.rint(np.cumsum([*CUT.values()]) * len(side)).astype(int).tolist()
    return dict(zip((*CUT, "train"), side.tensor_split(ends), strict=True))
