"""What a tick measures: the Wasserstein estimate on trained-on and on held-out samples, and the critic's gradients.

Everything is in float32 or wider, on copies of the networks, with a fixed set of real samples and fresh noise, so that
measuring changes nothing about training.
"""

import copy
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wgan.data.samples import Data, Samples
from wgan.networks import Latent
from wgan.penalties import gradient_norms, segments
from wgan.seeds import rng

MEASURED = 512  # samples a side for the estimate
GRADIENTS = 256  # samples for the gradient norms


class Measurement(NamedTuple):
    """The critic's view of real and generated samples at one moment, in the critic's units.

    Attributes:
        wasserstein: Mean score of trained-on real samples - mean score of generated ones.
        wasserstein_heldout: The same for held-out real samples, which the critic has never seen.
        wasserstein_stderr: Standard error of ``wasserstein_heldout``; None if a side is a single sample.
        gap: ``wasserstein - wasserstein_heldout``: what the critic has learnt by heart.
        gap_stderr: Standard error of ``gap``.
        gradient_norm: Mean norm of the critic's input gradient between held-out real and generated samples.
        gradient_norm_fake: The same at generated samples: what drives the generator.
    """

    wasserstein: float
    wasserstein_heldout: float
    wasserstein_stderr: float | None
    gap: float
    gap_stderr: float | None
    gradient_norm: float
    gradient_norm_fake: float


def has_batch_norm(module: nn.Module) -> bool:
    """Whether a network mixes the samples of a batch."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def probe(module: nn.Module) -> nn.Module:
    """A copy to measure with: dropout off, batch norm on the statistics of its batch as in training."""
    twin = copy.deepcopy(module).eval()
    for part in twin.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train()
    return twin


class Meter:
    """Measures networks against a fixed set of at most 512 samples a side.

    Args:
        data: Where the real samples come from.
        latent: What the generator's noise is.
        batch: Samples in a batch, as in training.
        seed: What the choice of samples and noise hangs on.
        move: Brings a batch to the networks' device and type.
    """

    def __init__(self, data: Data, latent: Latent, batch: int, seed: int, move: Callable[[Tensor], Tensor]) -> None:
        self.latent, self.batch, self.seed, self.move = latent, batch, seed, move
        self.train, self.held_out = data.train, data.held_out
        self.train_index = self._fixed(data.train, "train")
        self.held_out_index = self._fixed(data.held_out, "held out")

    def __call__(self, generator: nn.Module, critic: nn.Module, step: int) -> Measurement:
        """Measure the networks as they are after ``step`` generator steps."""
        generator, critic = probe(generator), probe(critic)
        fakes = range(max(len(self.train_index), len(self.held_out_index)))
        with torch.no_grad():
            on_train = _scores(critic, (self.real(self.train, i) for i in self.train_index))
            on_held_out = _scores(critic, (self.real(self.held_out, i) for i in self.held_out_index))
            on_fake = _scores(critic, (self.fake(generator, step, k) for k in fakes))
        between, at_fake = self._gradient_norms(generator, critic, step)
        return Measurement(
            wasserstein=float(on_train.mean() - on_fake.mean()),
            wasserstein_heldout=float(on_held_out.mean() - on_fake.mean()),
            wasserstein_stderr=_stderr(on_held_out, on_fake),
            gap=float(on_train.mean() - on_held_out.mean()),
            gap_stderr=_stderr(on_train, on_held_out),
            gradient_norm=float(between.mean()),
            gradient_norm_fake=float(at_fake.mean()),
        )

    def real(self, samples: Samples, index: Tensor) -> Tensor:
        """A batch of real samples."""
        return self.move(samples.batch(index))

    def fake(self, generator: nn.Module, step: int, k: int) -> Tensor:
        """The ``k``-th batch of generated samples after ``step`` generator steps."""
        z = self.latent.draw(self.batch, rng(self.seed, f"measured latent {k}", step))
        with torch.no_grad():
            return self.move(generator(self.move(z)))

    def _gradient_norms(self, generator: nn.Module, critic: nn.Module, step: int) -> tuple[Tensor, Tensor]:
        """Norms between real and generated samples, and at generated ones, batch by batch to bound the memory."""
        critic.eval()  # a gradient of one sample's score must not run through its neighbours
        draw, between, at_fake = rng(self.seed, "measured points", step), [], []
        for k, index in enumerate(self.held_out_index[: math.ceil(GRADIENTS / self.batch)]):
            real = self.real(self.held_out, index)
            fake = self.fake(generator, step, k)[: len(real)]
            between.append(gradient_norms(critic, segments(real, fake, draw)).detach())
            at_fake.append(gradient_norms(critic, fake).detach())
        return torch.cat(between), torch.cat(at_fake)

    def _fixed(self, samples: Samples, part: str) -> tuple[Tensor, ...]:
        n = min(MEASURED, samples.size or MEASURED)
        draw = rng(self.seed, f"measured {part}")
        index = torch.randperm(samples.size, generator=draw)[:n] if samples.size else torch.arange(n)
        whole = len(index) // self.batch * self.batch  # a short last batch would have another batch norm
        parts: tuple[Tensor, ...] = index[: whole or n].split(self.batch)
        return parts


def _scores(critic: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    return torch.cat([critic(batch).flatten() for batch in batches]).cpu().double()


def _stderr(a: Tensor, b: Tensor) -> float | None:
    """Standard error of the difference of two independent means; a single sample does not tell."""
    if min(len(a), len(b)) < 2:
        return None
    return float((a.var() / len(a) + b.var() / len(b)).sqrt())
