"""One WGAN-GP generator iteration, 5 critic steps and a generator step, against the textbook loop's.

Both sides have the same networks with the same first weights, batches of 64 from the same array, and the same settings
of Adam. Ours is a Trainer as `wgan train` runs one: its average of the generator included, in memory that is kept. The
other is bench/textbook.py, always float32. They take turns; the ratios are those of the rounds. GFLOP/s count the
arithmetic that an iteration needs (bench/flops.py), and the share is that of the convolution peak which is measured
beside it in the same precision with the same threads.

Before, both take ten iterations in float64 from the same numbers: losses and weights must agree to 1e-8.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import report, textbook
from bench.flops import iteration_flops, peak_flops
from bench.report import table
from bench.sides import Spread, in_turns, ratios, seconds_each
from bench.textbook import BATCH, CRITIC_STEPS, Noise, Textbook
from wgan import options
from wgan.build import make_networks, resolve
from wgan.config import Config
from wgan.constraints import GradientPenalty
from wgan.data import open_data
from wgan.machine.memory import kept_memory
from wgan.networks import Latent
from wgan.optimizers import Adam
from wgan.seeds import rng
from wgan.trainer import Trainer

PICTURES = 64 * 64
LEARNING_RATE, BETAS = 1e-4, (0.0, 0.9)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MLP = {
    **{"generator": "mlp", "generator_widths": (128, 256, 512, 1024), "generator_norm": "batch"},
    **{"critic": "mlp", "critic_widths": (512, 256), "latent": 100, "steps": 1},
}


class Workload(NamedTuple):
    """Networks, from a preset or from options, and the pictures' (H, W, C)."""

    about: str
    options: dict[str, Any]
    shape: tuple[int, int, int]


WORKLOADS = {
    "mlp": Workload("the scripts' perceptrons, 28x28", MLP, (28, 28, 1)),
    "dcgan": Workload("the networks of preset wgan-gp, 28x28", options.preset("wgan-gp"), (28, 28, 1)),
    "dcgan64": Workload("the networks of preset dcgan64-gp, 64x64x3", options.preset("dcgan64-gp"), (64, 64, 3)),
}


class Setting(NamedTuple):
    """A workload, ready to be trained by either side."""

    config: Config
    generator: nn.Module
    critic: nn.Module
    images: NDArray[np.uint8]

    @property
    def latent(self) -> Latent:
        """The noise that the generator takes."""
        return Latent(self.config.latent.latent, self.config.latent.latent_kind)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own flags."""
    parser.add_argument("--precision", nargs="+", choices=["fp32", "auto"], default=["fp32", "auto"])
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long a side works in each round")
    parser.add_argument("--check-steps", type=int, default=10, help="iterations of the comparison in float64")


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Check, then measure each workload in each precision."""
    checks, rows, peaks = {}, [], {}
    for name in flags.only:
        checks[name] = agreement(prepare(name, "fp32"), flags.check_steps)
        print(f"{name}: in float64 losses and weights differ by {max(checks[name].values()):.1e}", flush=True)
        for wish in flags.precision:
            setting = prepare(name, wish)
            precision = setting.config.run.precision
            peaks[precision] = max(peaks.get(precision, 0.0), peak_flops(DTYPES[precision]))
            rows.append(measure(setting, flags.rounds, flags.seconds) | {"workload": name, "asked": wish})
            print(_row(rows[-1], peaks), flush=True)
    return {"settings": report.settings(flags), "seed": 0, "checks": checks, "peaks": peaks, "rows": rows}


def prepare(name: str, precision: str) -> Setting:
    """The workload's networks with first weights of seed 0, and pictures of noise."""
    work = WORKLOADS[name]
    images = np.random.default_rng(0).integers(0, 256, (PICTURES, *work.shape), np.uint8)
    config = options.make_config(work.options, {"precision": precision, "device": "cpu"})
    data = open_data(images, config.data)
    config = resolve(config, data)
    torch.manual_seed(0)
    return Setting(config, *make_networks(config, data.shape), images)


def ours(setting: Setting, dtype: torch.dtype | None = None, batch: int = BATCH) -> Trainer:
    """Our side, attached to the pictures; ``dtype`` is that of its weights, if not float32."""
    networks = (copy.deepcopy(module).to(dtype or torch.float32) for module in (setting.generator, setting.critic))
    trainer = Trainer(
        *networks,
        constraint=GradientPenalty(10.0),
        latent=setting.latent,
        optimizer=Adam(BETAS),
        critic_lr=LEARNING_RATE,
        generator_lr=LEARNING_RATE,
        critic_steps=CRITIC_STEPS,
        batch=batch,
        precision=DTYPES[setting.config.run.precision],
    )
    trainer.attach(setting.images)
    return trainer


def theirs(
    setting: Setting, reals: Iterator[Tensor], noise: Noise | None = None, dtype: torch.dtype = torch.float32
) -> Textbook:
    """The textbook's side."""
    networks = (copy.deepcopy(module).to(dtype) for module in (setting.generator, setting.critic))
    return Textbook(*networks, reals, latent=setting.latent.size, lr=LEARNING_RATE, betas=BETAS, noise=noise)


def measure(setting: Setting, rounds: int, seconds: float) -> dict[str, Any]:
    """Seconds of an iteration on both sides in turns, the ratios, and the arithmetic."""
    works = theirs(setting, textbook.batches(setting.images)).advance, ours(setting).advance
    times = [_times(work, seconds) for work in works]
    their_seconds, our_seconds = in_turns(
        [lambda: seconds_each(works[0], times[0]), lambda: _keeping(works[1], times[1])], rounds
    )
    latents = setting.latent.draw(BATCH, rng(0, "counting"))
    return {
        "precision": setting.config.run.precision,
        "iterations_a_round": times,
        "textbook_seconds": their_seconds,
        "our_seconds": our_seconds,
        "flops": iteration_flops(setting.generator, setting.critic, latents, CRITIC_STEPS),
    }


def _keeping(work: Callable[[], None], times: int) -> float:
    with kept_memory():
        return seconds_each(work, times)


def _times(work: Callable[[], None], seconds: float) -> int:
    """How many iterations take about so long, found after one that also chooses kernels."""
    first = seconds_each(work, 1)
    return 1 if first > seconds else max(1, round(seconds / seconds_each(work, 2)))


class Replay(Noise):
    """Gives the textbook loop the numbers that a trainer draws."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.updates, self.steps = trainer, 0, 0
        self.dtype = next(trainer.critic.parameters()).dtype

    def reals(self) -> Iterator[Tensor]:
        """The trainer's batches."""
        while True:
            yield self.trainer.batches[self.updates].to(self.dtype)

    def critic_latents(self, n: int, size: int) -> Tensor:
        """Those of the trainer's critic step."""
        return self._latents("critic latent", self.updates, n)

    def generator_latents(self, n: int, size: int) -> Tensor:
        """Those of the trainer's generator step."""
        self.steps += 1
        return self._latents("generator latent", self.steps - 1, self.trainer.batch)

    def shares(self, n: int) -> Tensor:
        """The trainer's shares are of the generated pictures; with them a critic step has all that it draws."""
        self.updates += 1
        share = torch.rand(n, generator=rng(self.trainer.seed, "penalty 0", self.updates - 1))
        return 1 - share.to(self.dtype).view(n, 1, 1, 1)

    def _latents(self, stream: str, index: int, n: int) -> Tensor:
        return self.trainer.latent.draw(n, rng(self.trainer.seed, stream, index)).to(self.dtype)


def agreement(setting: Setting, steps: int, batch: int = 8) -> dict[str, float]:
    """How far the two sides are apart after some iterations in float64 from the same numbers.

    Returns:
        The largest difference of the losses of an iteration, and of any two weights, each relative to what is
        compared where that is above 1.
    """
    trainer = ours(setting, torch.float64, batch)
    replay = Replay(trainer)
    loop = theirs(setting, replay.reals(), replay, torch.float64)
    losses = 0.0
    for _ in range(steps):
        loop.advance()
        trainer.advance()
        means = trainer.ledger.means()
        trainer.ledger.reset()
        found = [means["critic_loss"] + means["penalty"], means["generator_loss"]]
        wanted = [float(np.mean(loop.critic_losses)), loop.generator_loss]
        losses = max(losses, _apart(*(torch.tensor(each, dtype=torch.float64) for each in (found, wanted))))
    pairs = ((trainer.generator, loop.generator), (trainer.critic, loop.critic))
    weights = [_apart(p, q) for a, b in pairs for p, q in zip(a.parameters(), b.parameters(), strict=True)]
    return {"losses": losses, "weights": max(weights)}


def _apart(found: Tensor, wanted: Tensor) -> float:
    return float(((found - wanted).detach().abs() / wanted.detach().abs().clamp(min=1)).max())


def _row(row: dict[str, Any], peaks: dict[str, float]) -> list[str]:
    theirs, ours_ = Spread.of(row["textbook_seconds"]), Spread.of(row["our_seconds"])
    speeds = row["flops"] / theirs.median, row["flops"] / ours_.median
    return [
        f"{row['workload']}, {row['asked']}" + (f" ({row['precision']})" if row["asked"] == "auto" else ""),
        f"{theirs.median * 1e3:.1f}",
        f"{ours_.median * 1e3:.1f}",
        ratios(row["textbook_seconds"], row["our_seconds"]).show(),
        f"{CRITIC_STEPS * BATCH / ours_.median:,.0f}",
        f"{row['flops'] / 1e9:.3g}",
        *(f"{speed / 1e9:.0f}" for speed in speeds),
        f"{peaks[row['precision']] / 1e9:,.0f}",
        f"{speeds[1] / peaks[row['precision']]:.0%}",
    ]


def tables(measured: dict[str, Any]) -> str:
    """The page's table, and what the check found."""
    heads = ["workload, precision of ours", "textbook ms", "our ms", "times as fast", "our images/s", "GFLOP needed"]
    heads += ["textbook GFLOP/s", "our GFLOP/s", "peak GFLOP/s", "our share of peak"]
    about = "".join(f"- {name}: {work.about}\n" for name, work in WORKLOADS.items() if name in measured["checks"])
    worst = max(max(check.values()) for check in measured["checks"].values())
    limit = "as they must (below 1e-8)" if worst < 1e-8 else "WHICH IS MORE THAN 1e-8"
    rounds, steps = measured["settings"]["rounds"], measured["settings"]["check_steps"]
    return (
        "One WGAN-GP iteration: 5 critic steps of 64 pictures and a generator step.\n\n"
        + about
        + "\n"
        + table(heads, [_row(row, measured["peaks"]) for row in measured["rows"]])
        + f"\nMedians of {rounds} rounds in turns, with the least and the most of the ratio. After {steps} iterations "
        f"in float64 from the same numbers, losses and weights of both sides agree to {worst:.0e}, {limit}. The "
        "peak is the best that was seen: where the machine was slower then, the share is too large.\n"
    )
