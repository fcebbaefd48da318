"""An endless, reshuffled reading of samples in which the k-th batch is a pure function of (seed, k)."""

from typing import final

import torch

from wgan.data.samples import Samples
from wgan.errors import UsageError
from wgan.parallel import ALONE, Group
from wgan.seeds import rng

ENDLESS_PASS = 65_536
"""What counts as one pass over samples without end."""


@final
class Batches:
    """Batches by number: ``batches[k]`` is float32 (batch, *shape), whatever was asked for before.

    Each epoch reads the samples in an order of its own and drops its last, partial batch. A set smaller than
    a batch is drawn from with replacement. Endless samples are read one after the other, from a start that
    depends on the seed.

    Args:
        samples: What to read.
        batch: Samples in a batch.
        seed: What the orders, draws and mirrors depend on.
        flip: Mirror each sample left to right with probability 1/2, anew in each batch.
        group: The processes among which each batch is divided; each reads its own part only.

    Raises:
        UsageError: Vectors are to be mirrored.
    """

    def __init__(self, samples: Samples, batch: int, seed: int, flip: bool = False, group: Group = ALONE) -> None:
        if flip and len(samples.shape) != 3:
            raise UsageError("flip mirrors pictures, but these samples are vectors; leave it out.")
        self.samples = samples
        self.batch = batch
        self.seed = seed
        self.flip = flip
        self.group = group
        self._cached: tuple[int, torch.Tensor] | None = None

    @property
    def per_epoch(self) -> float:
        """How many batches have as many samples as there are, or 65,536 where they are endless: the epoch of budgets.

        An order of :meth:`index` ends up to a batch before that: what is left is dropped, and another choice each time.
        """
        return (ENDLESS_PASS if self.samples.size is None else self.samples.size) / self.batch

    def __getitem__(self, k: int) -> torch.Tensor:
        """The k-th batch, k >= 0: float32 (batch, *shape), or this process's part of it."""
        x = self.samples.batch(self.group.shard(self.index(k)))
        if self.flip:
            mirrored = self.group.shard(
                torch.rand(self.batch, device="cpu", dtype=torch.float32, generator=rng(self.seed, "flip", k)) < 0.5
            )
            pixels = x.numpy()
            pixels[mirrored.numpy()] = pixels[mirrored.numpy(), ..., ::-1]
        return x

    def index(self, k: int) -> torch.Tensor:
        """Which samples the k-th batch has, of all processes: int64 (batch,)."""
        size = self.samples.size
        if size is None:
            # 2^40 starts, 2^22 samples apart, stay far below 2^63.
            start = int(torch.randint(2**40, (), device="cpu", generator=rng(self.seed, "start"))) * 2**22
            return torch.arange(start + k * self.batch, start + (k + 1) * self.batch, device="cpu")
        if size < self.batch:
            return torch.randint(size, (self.batch,), device="cpu", generator=rng(self.seed, "draw", k))
        epoch, number = divmod(k, size // self.batch)
        return self._order(epoch, size)[number * self.batch : (number + 1) * self.batch]

    def _order(self, epoch: int, size: int) -> torch.Tensor:
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, torch.randperm(size, device="cpu", generator=rng(self.seed, "order", epoch)))
        return self._cached[1]
