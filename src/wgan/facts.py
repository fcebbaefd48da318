"""What is about to be trained, in words: the sections that are shown before a run."""

from collections.abc import Mapping

from wgan.build import Plan
from wgan.config import Config
from wgan.console import count
from wgan.data.samples import Data
from wgan.networks.base import parameters
from wgan.trainer import Trainer


def facts_of(
    config: Config, data: Data, trainer: Trainer, plan: Plan, threads: int, folder: str
) -> Mapping[str, Mapping[str, str]]:
    """Sections of names and values: data, networks, training, output."""
    size, skipped = data.train.size, len(data.report.skipped)
    loss, moves, run = config.loss, config.optimizer, config.run
    decay = "" if moves.decay == "none" else ", linear decay"
    average = (f"EMA over {moves.ema_half_life:,.0f} samples" if moves.ema_half_life else "no EMA") + decay
    warm = f" ({moves.warmup_critic_steps} in the first {moves.warmup_steps})" if moves.warmup_steps else ""
    bound = (
        "with a certified bound" if trainer.constraint.certified else "without a certified bound (see `wgan diagnose`)"
    )
    whose = "averaged generator" if moves.ema_half_life else "generator"
    estimate = f"of the {whose}, after {count(run.catch_up, 'critic step')} alone, {bound}"
    workers = count(threads, "thread") + (f" in each of {run.processes} processes" if run.processes > 1 else "")
    steps = f"{count(moves.critic_steps, 'critic step')} each{warm}, batch {run.batch}"
    return {
        "data": {
            "name": data.name,
            "train": "endless" if size is None else f"{size:,}",
            "held out": "endless" if data.held_out.size is None else f"{data.held_out.size:,}",
            "shape": describe_shape(data.shape),
            **({"skipped": f"{skipped:,} files; `wgan data` names them"} if skipped else {}),
        },
        "networks": {
            "generator": f"{config.generator.family}, {parameters(trainer.generator):,} parameters",
            "critic": f"{config.critic.family}, {parameters(trainer.critic):,} parameters",
            "latent": f"{config.latent.latent} numbers, {config.latent.latent_kind}",
        },
        "training": {
            "objective": f"{loss.objective}, {trainer.constraint}",
            **({"estimate": estimate} if trainer.objective.measures_distance else {}),
            "optimizer": f"{moves.optimizer}, critic {moves.critic_lr:g}, generator {moves.generator_lr:g}, {average}",
            "budget": f"{describe_budget(plan)}; {steps}",
            "device": f"{run.device}, {workers}, {run.precision}, seed {run.seed}",
        },
        "output": {"folder": folder},
    }


def describe_shape(shape: tuple[int, ...]) -> str:
    """A sample's shape in words."""
    if len(shape) == 1:
        return f"vectors of {shape[0]}"
    channels, height, width = shape
    return f"pictures, {height} x {width}, {channels} channel{'s' * (channels > 1)}"


def describe_budget(plan: Plan) -> str:
    """A budget in words."""
    steps, seconds = plan.budget.steps, plan.budget.seconds
    parts = [count(steps, "generator step")] if steps is not None else []
    parts += [f"{seconds:g} s"] if seconds is not None else []
    return " or ".join(parts)
