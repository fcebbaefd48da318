"""From names to objects: the only place where a configuration becomes networks and a trainer."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch

from wgan.config import Config, LossConfig, NetworkConfig, OptimizerConfig
from wgan.constraints import Constraint, Sum, Unconstrained
from wgan.data.samples import Data
from wgan.errors import UsageError
from wgan.machine.devices import has_fast_bf16, resolve_device
from wgan.machine.memory import enough_memory
from wgan.networks import Critic, Generator, Latent, make_critic, make_generator, resolve_family
from wgan.optimizers import Adam, MakeOptimizer, eager
from wgan.parallel import ALONE, Group
from wgan.registry import CONSTRAINTS, NETWORKS, OBJECTIVES, lookup
from wgan.schedule import Budget, CriticSteps, Decay, Interval, read_seconds
from wgan.seeds import seeded
from wgan.trainer import Trainer
from wgan.words import count

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """How long a run trains and how often it logs, draws and saves."""

    budget: Budget
    log: Interval
    sample: Interval
    save: Interval

    def due(self, step: int) -> "Due":
        """What is due after this step."""
        return Due(self.log.due(step), self.sample.due(step))


class Due(NamedTuple):
    """Whether a record and a picture are due."""

    record: bool
    picture: bool


def resolve(config: Config, data: Data) -> Config:
    """Replace every ``auto`` by what it stands for on this data and machine.

    Raises:
        UsageError: A name is unknown, or the device is not there.
    """
    device = resolve_device(config.run.device)
    precision = config.run.precision
    if precision == "auto":  # the small networks of vectors gain nothing from it
        precision = "bf16" if has_fast_bf16(device) and len(data.shape) == 3 else "fp32"
    return dataclasses.replace(
        config,
        generator=dataclasses.replace(config.generator, family=resolve_family(config.generator.family, data.shape)),
        critic=dataclasses.replace(config.critic, family=resolve_family(config.critic.family, data.shape)),
        run=dataclasses.replace(config.run, device=str(device), precision=precision),
    )


def make_constraint(loss: LossConfig) -> Constraint:
    """The constraint, or the sum of constraints, that a configuration names.

    Raises:
        UsageError: A name is unknown, a weight or an interval is not allowed or would do nothing, or there are more of
            them than constraints.
    """
    names = [name.strip() for name in loss.constraint.split("+")]
    kinds = [lookup(CONSTRAINTS, name, "constraint") for name in names]
    weights, everys = _spread("--weight", loss.weight or (None,), names), _spread("--every", loss.every, names)
    if kinds == [Unconstrained] and weights[0] is not None:
        raise UsageError(f"--weight: {weights[0]:g}, but the constraint {names[0]} has no weight; leave it out.")
    shared = len(loss.every) == 1 and any(kind.has_penalty() for kind in kinds)
    made = []
    for kind, weight, every in zip(kinds, weights, everys, strict=True):
        chosen = {} if weight is None else {"weight": weight}
        made.append(kind(**chosen, every=1 if shared and not kind.has_penalty() else every))
    return made[0] if len(made) == 1 else Sum(*made)


def check(config: Config) -> None:
    """Refuse, before any data are read, what a new run could not use.

    Raises:
        UsageError: There is no budget, an interval cannot be read, a name is unknown, or an option would do nothing.
    """
    make_constraint(config.loss)
    lookup(OBJECTIVES, config.loss.objective, "objective")
    resolve_device(config.run.device)
    for network in (config.generator, config.critic):
        if network.family != "auto":
            lookup(NETWORKS, network.family, "network family")
    plan, optimizer = make_plan(config, 1.0), config.optimizer
    if optimizer.decay == "linear":
        decay_end(plan)
    if optimizer.optimizer != "adam" and optimizer.betas != OptimizerConfig().betas:
        raise UsageError(f"--betas: they are Adam's, and the optimizer is {optimizer.optimizer}; leave them out.")


def network_options(network: NetworkConfig) -> dict[str, Any]:
    """The options of a network that were given."""
    return {key: value for key, value in dataclasses.asdict(network).items() if value is not None and key != "family"}


def make_networks(config: Config, shape: tuple[int, ...]) -> tuple[Generator, Critic]:
    """The generator and the critic for samples of this shape.

    Raises:
        UsageError: An option is not allowed, or does not suit the shape.
    """
    latent = Latent(config.latent.latent, config.latent.latent_kind)
    generator = make_generator(config.generator.family, shape, latent, **network_options(config.generator))
    return generator, make_critic(config.critic.family, shape, **network_options(config.critic))


def make_trainer(config: Config, data: Data, group: Group = ALONE) -> tuple[Trainer, Plan]:
    """A trainer attached to its data, and the plan for it, from a resolved configuration.

    Raises:
        UsageError: Parts of the configuration do not go together; the message gives the remedy.
    """
    loss, optimizer, run = config.loss, config.optimizer, config.run
    too_large = "the networks cannot be made: there is not enough memory; use smaller widths."
    with seeded(run.seed, "weights"), enough_memory(too_large):
        trainer = Trainer(
            *make_networks(config, data.shape),
            objective=lookup(OBJECTIVES, loss.objective, "objective")(),
            constraint=make_constraint(loss),
            optimizer=_optimizer(optimizer),
            critic_lr=optimizer.critic_lr,
            generator_lr=optimizer.generator_lr,
            critic_steps=optimizer.critic_steps,
            warmup=(optimizer.warmup_steps, optimizer.warmup_critic_steps),
            reuse=optimizer.reuse,
            ema_half_life=optimizer.ema_half_life,
            instance_noise=loss.instance_noise,
            batch=run.batch,
            flip=config.data.flip,
            seed=run.seed,
            catch_up=run.catch_up,
            device=run.device,
            precision=torch.bfloat16 if run.precision == "bf16" else torch.float32,
            group=group,
        )
    trainer.attach(data)
    plan = make_plan(config, trainer.batches.per_epoch)
    if optimizer.decay == "linear":
        trainer.decay = Decay(0, decay_end(plan))
    return trainer, plan


def make_plan(config: Config, batches: float) -> Plan:
    """When to stop, log, draw and save, in generator steps and seconds.

    Args:
        config: What to do.
        batches: In one pass over the data.

    Raises:
        UsageError: There is no budget, or an interval cannot be read.
    """
    run, optimizer = config.run, config.optimizer
    moves = CriticSteps(optimizer.critic_steps, optimizer.warmup_steps, optimizer.warmup_critic_steps)
    per_epoch = batches / moves.usual
    limits = [
        run.steps,
        moves.generator_steps(run.kimg * 1000 / run.batch) if run.kimg is not None else None,
        moves.generator_steps(run.epochs * batches) if run.epochs is not None else None,
    ]
    steps = min((limit for limit in limits if limit is not None), default=None)
    if steps is None and run.time is None:
        raise UsageError("there is no budget; give --steps, --kimg, --epochs or --time.")
    log = Interval.read(run.log_every, per_epoch, "--log-every")
    sample = Interval.read(run.sample_every, per_epoch, "--sample-every")
    for flag, interval in (("--log-every", log), ("--sample-every", sample)):
        if interval.steps is None:
            raise UsageError(f"{flag}: give steps or epochs, so that a resumed run logs and draws at the same steps.")
    return Plan(
        Budget(steps, read_seconds(run.time) if run.time is not None else None),
        log,
        sample,
        Interval.read(run.save_every, per_epoch, "--save-every"),
    )


def decay_end(plan: Plan) -> int:
    """The generator step at which a decay over the budget ends.

    Raises:
        UsageError: The budget has no number of steps.
    """
    if plan.budget.steps is None:
        raise UsageError(
            "--decay linear needs to know where it ends; give --steps, --kimg or --epochs, not only --time."
        )
    return plan.budget.steps


def _optimizer(optimizer: OptimizerConfig) -> MakeOptimizer:
    return Adam(optimizer.betas) if optimizer.optimizer == "adam" else eager(torch.optim.RMSprop)


def _spread(flag: str, values: tuple[T, ...], names: list[str]) -> tuple[T, ...]:
    """One value for each constraint, from one for all or one each."""
    if len(values) not in (1, len(names)):
        raise UsageError(
            f"{flag}: {count(len(values), 'value')} for {count(len(names), 'constraint')}; give one, or one for each."
        )
    return values * len(names) if len(values) == 1 else values
