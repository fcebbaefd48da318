"""What goes into two networks and what comes out: on their device, in their precision, of this process's share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from wgan.constraints import Constraint
from wgan.errors import UsageError
from wgan.networks import Latent
from wgan.parallel import Group
from wgan.seeds import rng, seeded
from wgan.trainer.outputs import check_same_shape, flat_scores, samples_of

DRAWN = 5  # batches generated for the critic at a time: autocast converts its weights only once


@final
class Passes:
    """Passes through a generator and a critic.

    Args:
        latent: The generator's noise.
        instance_noise: Standard deviation of Gaussian noise added to all that the critic sees in training.
        seed: Of all noise; streams and indices do the rest.
        device: Where the networks are.
        dtype: Of samples and scores between passes.
        precision: Of what autocast may do less precisely; ``dtype`` stays for the rest.
        group: The processes, each with its share of what is drawn for all.

    Raises:
        UsageError: The precision is one that would need more than autocast.
    """

    def __init__(
        self,
        latent: Latent,
        instance_noise: float,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        precision: torch.dtype,
        group: Group,
    ) -> None:
        if precision not in (torch.float32, torch.bfloat16):
            raise UsageError(f"precision is {precision!r}; give torch.float32 or torch.bfloat16.")
        self.latent, self.instance_noise, self.seed, self.group = latent, instance_noise, seed, group
        self.device, self.dtype, self.precision = device, dtype, precision

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Inside, less precise where that does no harm; no converted weight is kept beyond it."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            yield
        torch.clear_autocast_cache()  # an autocast around a whole training would keep them for the next step

    def to_device(self, tensor: Tensor) -> Tensor:
        """Move a batch without waiting for it, where the device can do that."""
        tensor = tensor.pin_memory() if self.device.type == "cuda" and tensor.is_cpu else tensor
        return tensor.to(self.device, self.dtype, non_blocking=True)

    def generated(self, generator: nn.Module, batch: int, stream: str, index: int) -> Tensor:
        """This process's share of ``batch`` samples of a generator."""
        z = self.to_device(self.group.shard(self.latent.draw(batch, rng(self.seed, stream, index))))
        return samples_of(generator(z), len(z)).to(self.dtype)

    def fakes(self, generator: nn.Module, batch: int, due: range, step: int) -> Iterator[Tensor]:
        """Yields a batch without a graph for each critic step that is due, several at a time, then one with it.

        Args:
            generator: What makes them.
            batch: Samples in a batch, of all processes together.
            due: The critic steps' numbers.
            step: The number of the generator step that the last one is for.
        """
        for first in range(0, len(due), DRAWN):
            with torch.no_grad(), self.autocast():
                updates = due[first : first + DRAWN]
                drawn = [self.generated(generator, batch, "critic latent", update) for update in updates]
            yield from drawn
        with self.autocast():
            made = self.generated(generator, batch, "generator latent", step)
        yield made

    def sampled(self, generator: nn.Module, n: int, seed: int) -> Tensor:
        """``n`` samples (n, ...) of a seed of their own, on the processor, nothing of them less precise."""
        blocks = self.latent.blocks(n, seed)
        chance = seeded(seed, "samples' own noise", device=self.device)
        with chance, torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return torch.cat([samples_of(generator(self.to_device(z)), len(z)).cpu() for z in blocks])[:n]

    def noised(self, samples: Tensor, stream: str, index: int) -> Tensor:
        """Samples with instance noise, if there is any."""
        if not self.instance_noise:
            return samples
        return samples + self.instance_noise * self._drawn(torch.randn, samples.shape, stream, index)

    def penalty(
        self, critic: nn.Module, real: Tensor, fake: Tensor, update: int, number: int, part: Constraint
    ) -> Tensor:
        """The penalty of a part of the constraint, of that number, at that critic step."""
        epsilon = self._drawn(torch.rand, (len(real),), f"penalty {number}", update)
        return part.penalty(critic, real, fake, epsilon)

    def _drawn(self, make: Callable[..., Tensor], shape: tuple[int, ...], stream: str, index: int) -> Tensor:
        """Random numbers of this shape: this process's share of what is drawn for all."""
        whole = shape[0] * self.group.size, *shape[1:]
        drawn = make(whole, device="cpu", dtype=torch.float32, generator=rng(self.seed, stream, index))
        return self.to_device(self.group.shard(drawn))

    def scores(self, critic: nn.Module, samples: Tensor) -> Tensor:
        """A critic's scores (n,)."""
        return flat_scores(critic(samples), len(samples)).to(self.dtype)

    def both_scores(self, critic: nn.Module, real: Tensor, fake: Tensor, together: bool) -> tuple[Tensor, Tensor]:
        """Scores of both sides: in one pass, unless the critic may mix them."""
        check_same_shape(fake, real)
        if not together:
            return self.scores(critic, real), self.scores(critic, fake)
        scores = self.scores(critic, torch.cat([real, fake]))
        return scores[: len(real)], scores[len(real) :]
