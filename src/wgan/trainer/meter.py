"""What a tick measures: the Wasserstein estimate on trained-on and on held-out samples, what of it is noise and what is
certain, and the critic's gradients.

Everything is in float32 or wider, no product rounded to TF32, on copies of the networks, with a fixed set of real
samples and fresh noise, so that measuring changes nothing about training.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wgan.certificate import certify
from wgan.confidence import lower_bound, stderr
from wgan.data.samples import Data, Samples
from wgan.errors import UsageError
from wgan.networks import Latent
from wgan.networks.base import detached_copy
from wgan.parallel import ALONE, Group
from wgan.seeds import rng
from wgan.slopes import gradient_norms, segments
from wgan.surroundings import unrounded
from wgan.trainer.checks import mixes
from wgan.trainer.outputs import flat_scores

Batch = tuple[int, Callable[[], Tensor]]
"""How many samples a batch has, and what makes it."""
MEASURED, MEASURED_LARGE = 1024, 512  # samples a side for the estimate, and if they are pictures above 32x32
GRADIENTS = 256  # samples for the gradient norms: at least so many, if so many are held out
NINETY_FIVE = 1.96  # standard errors, on both sides, that 95 % of normal errors stay within
ESTIMATES = (
    *("wasserstein", "wasserstein_heldout", "wasserstein_stderr", "wasserstein_bound"),
    *("noise_floor", "gap", "gap_stderr"),
)
"""The fields that are about a distance, and so null for a discriminator."""


class Measurement(NamedTuple):
    r"""The critic's view of real and generated samples at one moment.

    In training the generator is its average, which samples come from. Scores are divided by the slope that the
    critic's constraint allows (K under orthogonal weights K), and so in units of W1; where it allows any, they are in
    the critic's own. Gradient norms are the critic's own in any case.

    Attributes:
        wasserstein: Mean score of trained-on real samples - mean score of generated ones.
        wasserstein_heldout: The same for held-out real samples, which the critic has never seen.
        wasserstein_stderr: Standard error of ``wasserstein_heldout``; None if a side is a single sample.
        wasserstein_bound: What the Wasserstein distance of data and generator is at least, at 99.9 % confidence:
            (wasserstein_heldout - 3.09 errors) / K, K being the certified Lipschitz constant of those scores, and the
            error as if both sides varied as much as the one that varies more; more errors where samples are few. A
            critic that learnt nothing makes it weak, even negative, but not wrong. The confidence is that of each
            record by itself, and the largest bound of many records has less. It is that of a normal mean: it may be
            99.8 % where real scores have a long tail downwards and generated ones upwards. None where K is not known.
        noise_floor: What the critic says of nothing: 95 % of pairs of disjoint sets of held-out real samples, as large
            as those measured, differ in mean score by less, :math:`1.96 \sigma \sqrt{1/n + 1/m}`, where
            :math:`\sigma` is the standard deviation of held-out scores. An estimate within +-noise_floor means nothing.
        gradient_norm: Mean norm of the critic's input gradient between held-out real and generated samples.
        gradient_norm_fake: The same at generated samples; near 0, nothing drives the generator.
    """

    wasserstein: float
    wasserstein_heldout: float
    wasserstein_stderr: float | None
    wasserstein_bound: float | None
    noise_floor: float | None
    gradient_norm: float
    gradient_norm_fake: float


def probe(module: nn.Module) -> nn.Module:
    """A copy to measure with: dropout off, batch norm on the statistics of its batch if the module is in training."""
    still = detached_copy(module).eval()
    for part in still.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.train(module.training)
    return still


class Meter:
    """Measures networks against a fixed set of samples.

    Args:
        data: Where the real samples come from.
        latent: What the generator's noise is.
        batch: Samples in a batch, as in training.
        seed: What the choice of samples and noise depends on.
        move: Brings a batch to the networks' device and type.
        certified: Whether to compute the critic's Lipschitz constant each time, for the bound.
        unit: What scores are divided by, such as the slope that a constraint allows.
        samples: At most this many a side; by default 1,024, or 512 of pictures that are larger than 32 x 32.
        group: The processes that measure together, each some of the batches; all must then measure.
    """

    def __init__(
        self,
        data: Data,
        latent: Latent,
        batch: int,
        seed: int,
        move: Callable[[Tensor], Tensor],
        certified: bool = False,
        unit: float = 1.0,
        samples: int | None = None,
        group: Group = ALONE,
    ) -> None:
        large = math.prod(data.shape[-2:]) > 32**2 and len(data.shape) > 1
        self.samples = samples or (MEASURED_LARGE if large else MEASURED)
        self._shape, self._certified, self._unit, self._group = data.shape, certified, unit, group
        self._latent, self._batch, self._seed, self._move = latent, batch, seed, move
        self.train, self.held_out = data.train, data.held_out
        self.train_index = self._fixed(data.train, "train")
        self.held_out_index = self._fixed(data.held_out, "held out")

    @unrounded
    def __call__(self, generator: nn.Module, critic: nn.Module, step: int) -> Measurement:
        """Measure the networks as they are after ``step`` generator steps."""
        on_train, on_held_out, on_fake = self.scores(generator, critic, step)
        between, at_fake = self._gradient_norms(generator, critic, step)
        return Measurement(
            wasserstein=float(on_train.mean() - on_fake.mean()),
            wasserstein_heldout=float(on_held_out.mean() - on_fake.mean()),
            wasserstein_stderr=stderr(on_held_out, on_fake),
            wasserstein_bound=lower_bound(on_held_out, on_fake, self._constant(critic)),
            noise_floor=_noise_floor(on_held_out, len(on_fake)),
            gradient_norm=float(between.mean()),
            gradient_norm_fake=float(at_fake.mean()),
        )

    def _constant(self, critic: nn.Module) -> float | None:
        """A bound of the slope of the scores, if one is wanted and known."""
        if not self._certified:
            return None
        try:
            return certify(detached_copy(critic).eval(), self._shape) / self._unit
        except UsageError:  # such as a hook, or a weight that is not finite: `wgan diagnose` says which
            return None

    @unrounded
    def scores(self, generator: nn.Module, critic: nn.Module, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (N,), float64, of trained-on, held-out and generated samples, the same ones for the same step."""
        generator, critic = probe(generator), probe(critic)
        reals = self._reals(critic)
        made: list[Batch] = [(self._batch, partial(self.fake, generator, step, k)) for k in range(max(map(len, reals)))]
        train, held_out, fake = self._scores(critic, [*reals, made])
        return train, held_out, fake

    def _reals(self, critic: nn.Module) -> list[list[Batch]]:
        """The trained-on and the held-out batches."""
        parts = (self.train, self.train_index), (self.held_out, self.held_out_index)
        return [
            [(len(rows), partial(self.real, samples, rows)) for rows in self._suited(index, critic)]
            for samples, index in parts
        ]

    def _suited(self, index: tuple[Tensor, ...], critic: nn.Module) -> tuple[Tensor, ...]:
        """The batches for a critic: for one that may mix a batch, as under batch norm, no short last one."""
        whole = tuple(rows for rows in index if len(rows) == self._batch)
        return whole if whole and mixes(critic) else index

    @torch.no_grad()
    def _scores(self, critic: nn.Module, sides: list[list[Batch]]) -> list[Tensor]:
        """Of each side, (N,); the batches of all are dealt to the processes in one go."""
        sizes, makers = zip(*chain(*sides), strict=True)
        scores = self._group.gather(sizes, lambda k: flat_scores(critic(makers[k]()), sizes[k])) / self._unit
        return list(scores.split([sum(size for size, _ in side) for side in sides]))

    @unrounded
    def gap(self, critic: nn.Module) -> dict[str, float | None]:
        """What the critic has memorised: by how much more it gives samples that it was trained on.

        Returns:
            ``gap``, the mean score of trained-on samples less that of unseen ones, and its standard error
            ``gap_stderr``, None if there is a single sample. Of endless data nothing is drawn twice, so that both are
            of unseen samples and the gap is noise around 0.
        """
        on_train, on_held_out = self._scores(probe(critic), self._reals(critic))
        return {"gap": float(on_train.mean() - on_held_out.mean()), "gap_stderr": stderr(on_train, on_held_out)}

    @unrounded
    def slope(self, generator: nn.Module, critic: nn.Module, step: int) -> float:
        """The ``gradient_norm`` of the networks as they are after ``step`` generator steps."""
        return float(self._gradient_norms(generator, critic, step)[0].mean())

    def real(self, samples: Samples, index: Tensor) -> Tensor:
        """A batch of real samples."""
        return self._move(samples.batch(index))

    def fake(self, generator: nn.Module, step: int, k: int) -> Tensor:
        """The ``k``-th batch of generated samples after ``step`` generator steps."""
        z = self._latent.draw(self._batch, rng(self._seed, f"measured latent {k}", step))
        with torch.no_grad():
            return self._move(generator(self._move(z)))

    def _gradient_norms(self, generator: nn.Module, critic: nn.Module, step: int) -> tuple[Tensor, Tensor]:
        """Norms between real and generated samples, and at generated ones, batch by batch to bound the memory.

        The critic is in evaluation mode: the gradient of one sample's score must not run through its neighbours.
        """
        generator, critic = probe(generator), detached_copy(critic).eval()
        index = self._suited(self.held_out_index, critic)[: math.ceil(GRADIENTS / self._batch)]
        draw = rng(self._seed, "measured points", step)
        positions = [torch.rand(len(part), device="cpu", dtype=torch.float32, generator=draw) for part in index]

        def norms(k: int) -> Tensor:
            real = self.real(self.held_out, index[k])
            fake = self.fake(generator, step, k)[: len(real)]
            points = segments(real, fake, positions[k])
            return torch.cat([gradient_norms(critic, points), gradient_norms(critic, fake)])

        with torch.no_grad():
            both = self._group.gather([2 * len(part) for part in index], norms)
        between, at_fake = zip(*(part.chunk(2) for part in both.split([2 * len(part) for part in index])), strict=True)
        return torch.cat(between), torch.cat(at_fake)

    def _fixed(self, samples: Samples, part: str) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = samples.some(self.samples, rng(self._seed, f"measured {part}")).split(self._batch)
        return parts


def _noise_floor(real: Tensor, fakes: int) -> float | None:
    """95 % of the differences of mean scores between so many real samples and as many other real ones as fakes."""
    return NINETY_FIVE * float(real.std()) * math.sqrt(1 / len(real) + 1 / fakes) if len(real) > 1 else None
