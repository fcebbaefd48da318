"""What a tick measures: the Wasserstein estimate on trained-on and on held-out samples, and the critic's gradients.

Everything is in float32 or wider, on copies of the networks, with a fixed set of real samples and fresh noise, so that
measuring changes nothing about training.
"""

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wgan.data.samples import Data, Samples
from wgan.networks import Latent
from wgan.penalties import gradient_norms, segments
from wgan.seeds import rng

MEASURED = 1024


class Measurement(NamedTuple):
    """The critic's view of real and generated samples at one moment, in the critic's units.

    Attributes:
        wasserstein: Mean score of trained-on real samples - mean score of generated ones.
        wasserstein_heldout: The same for held-out real samples, which the critic has never seen.
        wasserstein_stderr: Standard error of ``wasserstein_heldout``.
        gap: ``wasserstein - wasserstein_heldout``: what the critic has learnt by heart.
        gap_stderr: Standard error of ``gap``.
        gradient_norm: Mean norm of the critic's input gradient between held-out real and generated samples.
        gradient_norm_fake: The same at generated samples: what drives the generator.
    """

    wasserstein: float
    wasserstein_heldout: float
    wasserstein_stderr: float
    gap: float
    gap_stderr: float
    gradient_norm: float
    gradient_norm_fake: float


def probe(module: nn.Module) -> nn.Module:
    """A copy to measure with: dropout off, batch norm on the statistics of its batch as in training."""
    twin = copy.deepcopy(module).eval()
    for part in twin.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train()
    return twin


class Meter:
    """Measures networks against a fixed set of at most 1,024 samples a side.

    Args:
        data: Where the real samples come from.
        latent: What the generator's noise is.
        batch: Samples in a batch, as in training.
        seed: What the choice of samples and noise hangs on.
        move: Brings a batch to the networks' device and type.
    """

    def __init__(self, data: Data, latent: Latent, batch: int, seed: int, move: Callable[[Tensor], Tensor]) -> None:
        self.latent, self.batch, self.seed, self.move = latent, batch, seed, move
        self.train = self._fixed(data.train, "train")
        self.held_out = self._fixed(data.held_out, "held out")

    def __call__(self, generator: nn.Module, critic: nn.Module, step: int) -> Measurement:
        """Measure the networks as they are after ``step`` generator steps."""
        generator, critic = probe(generator), probe(critic)
        with torch.no_grad():
            fakes = [self._generate(generator, step, k) for k in range(max(len(self.train), len(self.held_out)))]
            on_train, on_held_out, on_fake = (_scores(critic, part) for part in (self.train, self.held_out, fakes))
        critic.eval()  # a gradient of one sample's score must not run through its neighbours
        real, fake = torch.cat(self.held_out), torch.cat(fakes)
        n = min(len(real), len(fake), 256)
        between = segments(real[:n], fake[:n], rng(self.seed, "measured points", step))
        return Measurement(
            wasserstein=float(on_train.mean() - on_fake.mean()),
            wasserstein_heldout=float(on_held_out.mean() - on_fake.mean()),
            wasserstein_stderr=_stderr(on_held_out, on_fake),
            gap=float(on_train.mean() - on_held_out.mean()),
            gap_stderr=_stderr(on_train, on_held_out),
            gradient_norm=float(gradient_norms(critic, between).detach().mean()),
            gradient_norm_fake=float(gradient_norms(critic, fake[:n]).detach().mean()),
        )

    def _generate(self, generator: nn.Module, step: int, k: int) -> Tensor:
        z = self.latent.draw(self.batch, rng(self.seed, f"measured latent {k}", step))
        return self.move(generator(self.move(z)))

    def _fixed(self, samples: Samples, part: str) -> list[Tensor]:
        n = min(MEASURED, samples.size or MEASURED)
        draw = rng(self.seed, f"measured {part}")
        index = torch.randperm(samples.size, generator=draw)[:n] if samples.size else torch.arange(n)
        return [self.move(samples.batch(chunk)) for chunk in index.split(self.batch)]


def _scores(critic: nn.Module, batches: list[Tensor]) -> Tensor:
    return torch.cat([critic(batch).flatten() for batch in batches]).double()


def _stderr(a: Tensor, b: Tensor) -> float:
    """Standard error of the difference of two independent means."""
    return float(sum(x.var(correction=min(1, len(x) - 1)) / len(x) for x in (a, b)) ** 0.5)
