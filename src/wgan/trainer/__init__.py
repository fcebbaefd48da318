"""The two steps of a Wasserstein GAN, the average of the generator, and the state that goes on after a stop.

A trainer gets objects, and names for its data at most; it prints nothing and writes no files. Randomness comes from
:mod:`wgan.seeds`, so what a step draws depends on the seed and the step alone, and measuring never disturbs training.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wgan.constraints import Constraint, GradientPenalty, prepared, with_penalties
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.data.samples import Data
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.machine.devices import device_of
from wgan.networks import Latent
from wgan.networks.channels_last import placed
from wgan.objectives import Objective, Wasserstein
from wgan.optimizers import Adam, MakeOptimizer
from wgan.parallel import ALONE, GradientAllReduce, Group
from wgan.schedule import CriticSteps, Decay, Rates, set_rates
from wgan.seeds import seeded
from wgan.surroundings import with_gradients
from wgan.trainer import checks
from wgan.trainer.catchup import ahead
from wgan.trainer.clock import Clock
from wgan.trainer.ema import Average
from wgan.trainer.fitting import Fitting
from wgan.trainer.ledger import Ledger, check_values, check_weights
from wgan.trainer.meter import ESTIMATES, Meter
from wgan.trainer.outputs import latent_of
from wgan.trainer.passes import Passes


class Trainer:
    """Alternates critic and generator steps.

    Args:
        generator: Noise (N, L) to samples (N, ...): pixels from -1 to 1, or numbers standardised as the data are.
        critic: Samples to scores (N,) or (N, 1); real high, fake low. One whose scores depend on the rest of the batch
            is refused under a gradient penalty; one with module classes of your own is called separately on real and
            generated samples, which is slower.
        objective: Scores to losses.
        constraint: What keeps the critic Lipschitz.
        latent: The noise; by default the generator's own ``latent``.
        optimizer: Makes an optimizer from parameters and a learning rate.
        critic_lr, generator_lr: The learning rates of each.
        decay: How both learning rates fall, if they do.
        critic_steps: Critic steps (n_critic in the papers), each on fresh batches, before a generator step.
        warmup: (n, k), not of learning rates: k critic steps before the first n generator steps and, if n, each 500th.
        reuse: Reuse the last critic step's generated samples for the generator step instead of drawing new ones.
        ema_half_life: Half-life of the generator's average, in real samples shown to the critic; 0 for none.
        instance_noise: Standard deviation of Gaussian noise on all that the critic sees in training, not in records.
        batch: Samples in a batch, of all processes together.
        flip: Mirror each real picture left to right with probability 1/2, anew in each batch.
        seed: The seed of every random choice.
        catch_up: Extra critic steps on the averaged generator before each record, undone afterwards; never more than
            training has taken so far.
        device: Where to train.
        precision: ``torch.bfloat16`` for autocast; losses, means, wgan's own pixels, norms and heads stay wide.
        group: The processes that train together, each on its part of every batch (:func:`wgan.parallel.joined`).

    Raises:
        UsageError: The networks or numbers do not suit, or the critic and the constraint do not go together.
    """

    @with_gradients
    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        objective: Objective | None = None,
        constraint: Constraint | None = None,
        latent: Latent | None = None,
        optimizer: MakeOptimizer | None = None,
        critic_lr: float = 1e-4,
        generator_lr: float = 1e-4,
        decay: Decay | None = None,
        critic_steps: int = 5,
        warmup: tuple[int, int] = (0, 100),
        reuse: bool = False,
        ema_half_life: float = 10_000,
        instance_noise: float = 0.0,
        batch: int = 64,
        flip: bool = False,
        seed: int = 0,
        catch_up: int = 20,
        device: torch.device | str = "cpu",
        precision: torch.dtype = torch.float32,
        group: Group = ALONE,
    ) -> None:
        self.device, self.group = device_of(device), group
        self.objective, self.constraint = objective or Wasserstein(), constraint or GradientPenalty()
        checks.check_kinds(generator=generator, critic=critic, objective=objective, constraint=constraint)
        checks.check_kinds(optimizer=optimizer, decay=decay, warmup=warmup)
        self.critic_steps, self.reuse, self.instance_noise = CriticSteps(critic_steps, *warmup), reuse, instance_noise
        check_numbers(batch=batch, catch_up=catch_up, seed=seed, ema_half_life=ema_half_life)
        check_numbers(instance_noise=instance_noise, critic_lr=critic_lr, generator_lr=generator_lr)
        self.latent, make = latent_of(generator, latent), optimizer or Adam()
        dtype = checks.check_networks(generator, critic, batch, group.size)
        self._passes = Passes(self.latent, instance_noise, seed, self.device, dtype, precision, group)
        self.to_device = self._passes.to_device
        checks.check_objective(self.objective, torch.zeros(4, dtype=dtype, device=self.device, requires_grad=True))
        self.generator = placed(generator, self.device)
        self.critic = placed(prepared(self.constraint, critic), self.device)
        group.broadcast(self.generator, self.critic)  # their makers may have drawn without a seed
        self._generator_weights = [weight for weight in self.generator.parameters() if weight.requires_grad]
        self._critic_weights = [weight for weight in self.critic.parameters() if weight.requires_grad]
        self.generator_optimizer = checks.optimizer_of(make, self._generator_weights, float(generator_lr))
        self.critic_optimizer = checks.optimizer_of(make, self._critic_weights, float(critic_lr))
        self.rates = {"generator": Rates(self.generator_optimizer), "critic": Rates(self.critic_optimizer)}
        self.catch_up = catch_up if self.objective.measures_distance else 0
        self.batch, self.flip, self.seed, self.decay = int(batch), flip, int(seed), decay
        self.average = Average(self.generator, ema_half_life)
        self.ledger = Ledger(("critic_loss", "penalty", "generator_loss"))
        self._reduce_critic = GradientAllReduce(group, self._critic_weights)
        self._reduce_generator = GradientAllReduce(group, self._generator_weights, (self.generator, self.critic))
        parametrized = any(map(parametrize.is_parametrized, self.critic.modules()))
        self._computed_once = parametrize.cached if parametrized else nullcontext
        self.step, self.critic_updates = 0, 0
        self.clock, self.last_record = Clock(), (0.0, 0)  # the latter: seconds and images at the last record
        self._batches: Batches | None = None

    @property
    def seconds(self) -> float:
        """Seconds since training began, with all that happened between steps; those of earlier processes included."""
        return self.clock.seconds

    @property
    def images(self) -> int:
        """Real samples shown to the critic so far."""
        return self.critic_updates * self.batch

    @property
    def batches(self) -> Batches:
        """The real samples; a UsageError if none were attached."""
        if self._batches is None:
            raise UsageError("there are no data to train on; call trainer.attach(data) first.")
        return self._batches

    @with_gradients
    def attach(self, data: Any) -> Data:
        """Read real samples from ``data``: a data set, a name, a path, an array or anything that has items.

        Returns:
            The data as networks see them, whose ``units.to_user`` converts samples to the data's units.

        Raises:
            UsageError: The data do not suit the networks, or are not the same in all processes.
        """
        opened, self._one_pass = open_data(data), not checks.mixes(self.critic)
        self.group.check_alike(seed=self.seed, batch=self.batch, data=int(opened.content or "0", 16) >> 1)  # 63 bits
        checks.check_data(self.critic, checks.first_sample(self.sample, self.latent), opened, self.constraint)
        self._batches = Batches(opened.train, self.batch, self.seed, self.flip, self.group)
        options = self.seed, self.to_device, self.constraint.certified, self.constraint.unit
        self._meter = Meter(opened, self.latent, self.batch, *options, group=self.group)
        return opened

    def fit(self, data: Any, *, steps: int, tick: int = 50) -> Iterator[dict[str, Any]]:
        """Train, while it is iterated, until ``steps`` generator steps are done; gives a record every ``tick`` of them.

        Raises:
            UsageError, DivergedError: A number is not allowed; a loss, a penalty or a weight became NaN or infinite.
        """
        check_numbers(steps=steps, tick=tick)
        self.attach(data)
        return Fitting(self, steps, tick)

    @with_gradients
    def advance(self) -> None:
        """Take one generator step, after the critic steps that go before it; the device is hardly ever waited for.

        Raises:
            UsageError, LostError: No data were attached, or a network gives nothing to learn from; a process is gone.
        """
        self.clock.start()
        for network in (self.generator, self.critic):
            if not network.training:  # as after a look at samples
                network.train()
        set_rates(self.rates.values(), self.decay, self.step)
        with seeded(self.seed, self.group.stream("dropout"), self.step, self.device):
            steps = self.critic_steps.before(self.step)
            fakes = self._fakes(self.generator, steps - self.reuse)
            for fake in islice(fakes, steps):
                self.critic_step(fake.detach())
            self._generator_step(fake if self.reuse else next(fakes))
        self.step += 1
        self.average.update(self.generator, self.images, steps * self.batch)

    @contextmanager
    def caught_up(self, further: int = 0) -> Iterator[None]:
        """Inside, the critic has taken the extra steps of a record and ``further`` more; then they are undone."""
        updates, ledger, self.ledger = self.critic_updates, self.ledger, Ledger(self.ledger.names)
        steps = min(self.catch_up, updates) + further
        options = steps, self.rates["critic"], self.critic
        try:
            chance = seeded(self.seed, self.group.stream("catch up"), self.step, self.device)
            going = ahead(lambda: self.critic_step(next(self._fakes(self.average.module))), *options)
            with torch.inference_mode(False), chance, going:
                yield
        finally:
            self.critic_updates, self.ledger = updates, ledger

    def _fakes(self, generator: nn.Module, steps: int = 1) -> Iterator[Tensor]:
        """``steps`` batches for the critic, then one for the generator's step."""
        due = range(self.critic_updates, self.critic_updates + steps)
        return self._passes.fakes(generator, self.batch, due, self.step)

    @with_gradients
    def critic_step(self, fake: Tensor | None = None) -> None:
        """Take a step of the critic alone, on new fakes if none are given.

        Raises:
            UsageError, LostError: As :meth:`advance`.
        """
        passes, update = self._passes, self.critic_updates
        real = passes.noised(self.to_device(self.batches[update]), "real noise", update)
        fake = passes.noised(next(self._fakes(self.generator)) if fake is None else fake, "fake noise", update)
        with self._computed_once(), passes.autocast():
            real_scores, fake_scores = passes.both_scores(self.critic, real, fake, self._one_pass)
            loss = self.objective.critic_loss(real_scores, fake_scores)
            checks.check_attached(real_scores, "the critic's scores")
            look = partial(passes.penalty, self.critic, real, fake, update)
            total, penalty = with_penalties(loss, self.constraint, update, look)
        self.critic_optimizer.zero_grad()
        total.backward(inputs=self._critic_weights)
        losses = self._reduce_critic(loss, *(() if penalty is None else (penalty,)))
        self.critic_optimizer.step()
        self.constraint.project(self.critic)
        self.critic_updates += 1
        for name, value in zip(("critic_loss", "penalty"), losses, strict=False):
            self.ledger.add(name, value, self.step + 1)

    def _generator_step(self, fake: Tensor) -> None:
        checks.check_attached(fake, "the generator's samples")
        with self._passes.autocast():
            scores = self._passes.scores(self.critic, self._passes.noised(fake, "generator noise", self.critic_updates))
        loss = self.objective.generator_loss(scores)
        self.generator_optimizer.zero_grad()
        loss.backward(inputs=self._generator_weights)
        (loss,) = self._reduce_generator(loss)
        self.generator_optimizer.step()
        self.ledger.add("generator_loss", loss, self.step + 1)

    def check(self) -> None:
        """Raise a DivergedError, with the name and the step, if a loss, a penalty or a weight is NaN or infinite."""
        self.ledger.check()
        check_weights(self.step, critic=self.critic, generator=self.generator)

    @with_gradients
    def record(self, reset: bool = True) -> dict[str, Any]:
        """Measure, and give what happened since the last record; the means start again if they are ``reset``.

        Raises:
            UsageError, DivergedError, LostError: No data were attached; a number is NaN or infinite; a process is gone.
        """
        self.check()
        seconds = self.seconds
        elapsed, images = seconds - self.last_record[0], self.images - self.last_record[1]
        record = {
            "step": self.step,
            "images": self.images,
            "epoch": self.critic_updates / self.batches.per_epoch,
            "seconds": seconds,
            **self._measured(),
            **self.ledger.means(),
            "generator_lr": self.generator_optimizer.param_groups[0]["lr"],
            "critic_lr": self.critic_optimizer.param_groups[0]["lr"],
            "images_per_second": images / elapsed if elapsed > 0 else None,
        }
        if reset:
            self.ledger.reset()
            self.last_record = (seconds, self.images)
        return record

    def _measured(self) -> dict[str, float | None]:
        distance = self.objective.measures_distance  # which a discriminator's logits do not
        values = self._meter.gap(self.critic) if distance else {}  # catching up spreads scores: it would be lost then
        with self.caught_up():
            values |= self._meter(self.average.module, self.critic, self.step)._asdict()
        check_values(values, self.step)
        return values if distance else values | dict.fromkeys(ESTIMATES)

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """``n`` samples (n, ...) of the average, on the processor: pixels in [-1, 1], or standardised vectors.

        Raises:
            UsageError: ``n`` is below 1, the seed is not allowed, or the generator gives no samples.
        """
        return self._passes.sampled(self.average.module, n, seed)
