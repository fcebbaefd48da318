"""What is about to be trained, in words: the sections that are shown before a run."""

import shlex
from collections.abc import Mapping

from wgan.build import Plan, make_constraint
from wgan.config import Config
from wgan.data.samples import Data
from wgan.machine.crowd import Crowd
from wgan.machine.devices import has_fast_bf16
from wgan.networks.base import parameters
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.words import count, kind

OBJECT = "<an object in Python>"
"""What stands for the name of data that were given as an object."""


def facts_of(
    config: Config, data: Data, trainer: Trainer, plan: Plan, threads: int, folder: str
) -> Mapping[str, Mapping[str, str]]:
    """Sections of names and values: data, networks, training, output."""
    size = data.train.size
    loss, optimizer, run = config.loss, config.optimizer, config.run
    decay = "" if optimizer.decay == "none" else ", linear decay"
    rates = f"critic {optimizer.critic_lr:g}, generator {optimizer.generator_lr:g}"
    average = (
        f"EMA of half-life {optimizer.ema_half_life:,.0f} samples" if optimizer.ema_half_life else "no EMA"
    ) + decay
    warm = f" ({optimizer.warmup_critic_steps} in the first {optimizer.warmup_steps})" if optimizer.warmup_steps else ""
    bound = (
        "with a certified bound" if trainer.constraint.certified else "without a certified bound (see `wgan diagnose`)"
    )
    whose = "averaged generator" if optimizer.ema_half_life else "generator"
    estimate = f"of the {whose}, after {count(run.catch_up, 'extra critic step')}, {bound}"
    workers = count(threads, "thread") + (f" in each of {run.processes} processes" if run.processes > 1 else "")
    slow = " (very slow here)" if run.precision == "bf16" and not has_fast_bf16(trainer.device) else ""
    steps = f"{count(optimizer.critic_steps, 'critic step')} each{warm}, batch {run.batch}"
    return {
        "data": {
            "name": data.name,
            "train": "endless" if size is None else f"{size:,}",
            "held out": "endless" if data.held_out.size is None else f"{data.held_out.size:,}",
            "shape": kind(data.shape),
            **_skipped(len(data.report.skipped), config.data.data),
        },
        "networks": {
            "generator": f"{config.generator.family}, {parameters(trainer.generator):,} parameters",
            "critic": f"{config.critic.family}, {parameters(trainer.critic):,} parameters",
            "latent": f"{config.latent.latent} numbers, {config.latent.latent_kind}",
        },
        "training": {
            "objective": f"{loss.objective}, {trainer.constraint}",
            **({"estimate": estimate} if trainer.objective.measures_distance else {}),
            "optimizer": f"{optimizer.optimizer}, {rates}, {average}",
            "budget": f"{describe_budget(plan)}; {steps}",
            "device": f"{run.device}, {workers}, {run.precision}{slow}, seed {run.seed}",
        },
        "output": {"folder": folder},
    }


def _skipped(number: int, source: str) -> Mapping[str, str]:
    """What was left out of the data, and the command that names it, which reads no objects."""
    if not number:
        return {}
    if source == OBJECT:
        return {"skipped": count(number, "item")}
    return {"skipped": f"{count(number, 'file')}; `wgan data {shlex.quote(source)}` names them"}


def describe_budget(plan: Plan) -> str:
    """A budget in words."""
    steps, seconds = plan.budget.steps, plan.budget.seconds
    parts = [count(steps, "generator step")] if steps is not None else []
    parts += [f"{seconds:g} s"] if seconds is not None else []
    return " or ".join(parts)


def crowded(crowd: Crowd, fewer: int, run: Run) -> str:
    """What is to be known when other programs leave cores for ``fewer`` threads only."""
    why = f"other programs take the processor's cores, and a step waits for the slowest of {crowd.threads} threads; "
    if crowd.follows:
        return why + f"going on with {fewer}, and with more when cores are free (--threads keeps their number)."
    return why + f"{fewer} may be faster: press Ctrl-C, then wgan resume {run.quoted} --threads {fewer}"


def after_divergence(run: Run) -> str:
    """What to do when a number became NaN or infinite."""
    rates, constraint = run.config.optimizer, make_constraint(run.config.loss)
    return (
        f"Start a new run with smaller learning rates (now --critic-lr {rates.critic_lr:g} --generator-lr "
        f"{rates.generator_lr:g}), with --precision fp32, or with another penalty weight (now: {constraint})."
    )
