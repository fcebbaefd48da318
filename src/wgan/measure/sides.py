"""Two sets of samples, cut into parts: what trains a critic never judges it."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wgan.distances.samples import by_content, checked
from wgan.errors import UsageError
from wgan.seeds import rng

Sampler = Callable[[int, torch.Generator], Tensor]
"""Draws so many samples (n, D) from an endless distribution."""

FEWEST = 200
"""Samples a side that can be cut into parts which still say something."""

SHARES = {"choose": 1 / 12, "judge": 1 / 6, "certify": 1 / 6}
"""Of a finite set; the rest trains."""

SIZES = {"train": 16_384, "choose": 8_192, "judge": 65_536, "certify": 65_536}
"""Samples a side in each part, where there are as many."""


class Part(NamedTuple):
    """Samples of both sides, (n, D) and (m, D)."""

    x: Tensor
    y: Tensor


class Sides:
    """Two distributions, shifted together by one vector and scaled together by one number, as W1 allows.

    Args:
        a: Samples (N, D), or a sampler.
        b: The same; both of one kind.
        seed: What cuts, and what samplers draw, hang on.

    Raises:
        UsageError: The samples do not suit each other, or are fewer than 200 a side.
    """

    def __init__(self, a: Any, b: Any, seed: int) -> None:
        self.seed = seed
        if callable(a) != callable(b):
            raise UsageError("one side is a sampler and the other is not; give two arrays, or two samplers.")
        self.endless = callable(a)
        self._sources: tuple[Any, Any] = (a, b)
        if not self.endless:
            x, y = checked(a, b)
            if min(len(x), len(y)) < FEWEST:
                raise UsageError(
                    f"there are {len(x):,} and {len(y):,} samples; a critic needs at least {FEWEST} a side."
                )
            self._parts = tuple(_cut(torch.from_numpy(side), by_content(side, seed)) for side in (x, y))
        self.sizes = None if self.endless else tuple(sum(map(len, parts.values())) for parts in self._parts)
        first = Part(*(side.double() for side in self.raw("train")))
        if first.x.dim() != 2 or first.x.shape[1:] != first.y.shape[1:]:
            raise UsageError(f"samplers gave {tuple(first.x.shape)} and {tuple(first.y.shape)}; both must give (n, D).")
        self.dim = first.x.shape[1]
        self.centre = (first.x.mean(0) + first.y.mean(0)) / 2
        spread = torch.cat([side - self.centre for side in first]).square().mean().sqrt()
        self.scale = float(spread) or 1.0

    def raw(self, part: str, index: int = 0) -> Part:
        """A part in the samples' own units."""
        if self.endless:
            return self._draw(SIZES[part], part, index)
        return Part(*(parts[part][: SIZES[part]] for parts in self._parts))

    def part(self, name: str) -> Part:
        """A part as a critic sees it: "train" (no more than needed to compare), "choose", "judge" or "certify"."""
        return self._scaled(self.raw(name))

    def batch(self, step: int, size: int, stream: str) -> Part:
        """A batch to train on, another one for each step."""
        if self.endless:
            return self._scaled(self._draw(size, stream, step))
        draw = rng(self.seed, stream, step)
        sides = (parts["train"] for parts in self._parts)
        return self._scaled(Part(*(side[torch.randint(len(side), (size,), generator=draw)] for side in sides)))

    def folds(self, size: int) -> list[Callable[[], Part]]:
        """Disjoint sets of so many samples a side, in their own units; of the samples that certify nothing."""
        if self.endless:
            return [lambda k=k: self._draw(size, "fold", k) for k in range(1000)]  # type: ignore[misc]
        whole = [torch.cat([part for name, part in parts.items() if name != "certify"]) for parts in self._parts]
        size = min(size, *map(len, whole))
        starts = range(0, min(map(len, whole)) - size + 1, size)
        return [lambda k=k: Part(*(side[k : k + size] for side in whole)) for k in starts]  # type: ignore[misc]

    def _draw(self, size: int, stream: str, index: int) -> Part:
        pair = zip(self._sources, ("a", "b"), strict=True)
        return Part(*(torch.as_tensor(draw(size, rng(self.seed, f"{stream} {side}", index))) for draw, side in pair))

    def _scaled(self, part: Part) -> Part:
        return Part(*(((side.double() - self.centre) / self.scale).float() for side in part))


def _cut(side: Tensor, order: Any) -> dict[str, Tensor]:
    """Disjoint parts, by content, so that equal samples of two sets fall into the same part."""
    ends = [round(len(side) * share) for share in accumulate(SHARES.values())]
    pieces = torch.tensor_split(side[torch.from_numpy(order)], ends)
    return dict(zip((*SHARES, "train"), pieces, strict=True))
