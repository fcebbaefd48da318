"""What training in many processes sends, and the efficiency that this lets expect, for the networks of every preset.

    python bench/communication.py [--flops 20e12] [--inside 100e9] [--between 12.5e9] [--latency 20e-6] [--gloo 50e-6]
        [--write]

Counts the numbers that one generator step (with its critic steps) sends and its floating point operations, both from
the networks themselves. The time of an all-reduce of B bytes among P processes is taken as
2 (P - 1) / P * B / bandwidth + 2 log2(P) * latency, that of computing as operations / flops, and nothing overlaps.
After each generator step one more all-reduce, of the three numbers by which all learn whether to go on, goes from
processor to processor over gloo, at a latency of its own. The rates are assumptions, to be replaced by your machine's;
``--write`` puts the table into docs/scaling.md.
"""

import argparse
import math
import re
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from wgan import options
from wgan.build import make_constraint, make_networks
from wgan.config import Config
from wgan.networks import convolutions
from wgan.parallel import SCALARS, running_statistics

DECISION = 3 * 8
"""Bytes of the all-reduce in which all processes learn whether to stop, and whether to save."""
PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
SHAPES: dict[str, tuple[int, ...]] = {
    "points": (2,),
    **dict.fromkeys(("default", "wgan", "wgan-gp", "tiny-gp"), (1, 28, 28)),
    **dict.fromkeys(("dcgan-clip", "gan-minimax", "gan-nonsaturating"), (1, 28, 28)),
    **dict.fromkeys(("conv-gp", "mlp-clip"), (1, 32, 32)),
    **dict.fromkeys(("dcgan64-clip", "dcgan64-gp"), (3, 64, 64)),
}
"""The samples of every preset: most leave it to the data."""


class Operations(TorchDispatchMode):
    """Counts floating point operations; torch's own FlopCounterMode does not go through ``torch.func``."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        out = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry:
            self.total += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


class Rates(NamedTuple):
    """What the efficiency is computed from: operations a second of a GPU, bytes a second, seconds."""

    flops: float
    inside: float
    between: float
    latency: float
    gloo: float


class Step(NamedTuple):
    """One generator step with its critic steps: bytes of each all-reduce of GPUs, and operations a sample."""

    name: str
    shape: tuple[int, ...]
    batch: int
    parameters: tuple[int, int]
    reductions: tuple[int, ...]
    operations: float

    def efficiency(self, processes: int, batch: int, rates: Rates) -> float:
        """The speed in many processes, as a share of so many times the speed of one, at this batch in all."""
        bandwidth = rates.inside if processes <= 8 else rates.between
        wire, hops = 2 * (processes - 1) / processes / bandwidth, 2 * math.log2(processes)
        computing = self.operations * batch / processes / rates.flops
        sending = sum(size * wire + hops * rates.latency for size in self.reductions)
        return computing / (computing + sending + DECISION * wire + hops * rates.gloo)


def step_of(name: str) -> Step:
    """Count what a preset's step sends and computes."""
    config = options.make_config(options.preset(name))
    shape = SHAPES[name]
    generator, critic = make_networks(config, shape)
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in (generator, critic)]
    statistics = sum(s.numel() for network in (generator, critic) for s in running_statistics(network))
    moves = config.optimizer.critic_steps
    reductions = (*[4 * (sizes[1] + SCALARS)] * moves, 4 * (sizes[0] + statistics + SCALARS))
    with patch.object(
        convolutions, "pays", lambda *_: False
    ):  # as on a GPU; which are products depends on the processor
        operations = _operations(config, generator, critic, shape)
    return Step(name, shape, config.run.batch, (sizes[0], sizes[1]), reductions, operations)


def _operations(config: Config, generator: torch.nn.Module, critic: torch.nn.Module, shape: tuple[int, ...]) -> float:
    """Floating point operations of a step, for each sample of the batch; a lazy penalty counts for its share."""
    n = 2
    real, between, z = torch.rand(n, *shape), torch.rand(n), torch.rand(n, config.latent.latent)
    total = 0.0
    with Operations() as making, torch.no_grad():
        fake = generator(z)
    with Operations() as counter:
        (critic(fake).mean() - critic(real).mean()).backward()
    total += making.total + counter.total
    for part in make_constraint(config.loss).parts:
        if part.has_penalty():
            with Operations() as counter:
                part.penalty(critic, real, fake, between).backward()
            total += counter.total / part.every
    with Operations() as counter:
        critic(generator(z)).mean().backward(inputs=list(generator.parameters()))
    moves = config.optimizer
    return (total * moves.critic_steps + counter.total - making.total * moves.reuse) / n


def table(rates: Rates) -> str:
    """All presets, in Markdown."""
    lines = [
        "| preset | samples | generator, critic | all-reduces a step | MB sent a step and GPU "
        "| GFLOP a step and sample | 8 GPUs, same batch | 8 GPUs, 8 x batch | 64 GPUs, 64 x batch |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for step in map(step_of, options.presets()):
        kinds = ((8, step.batch), (8, 8 * step.batch), (64, 64 * step.batch))
        shares = [f"{100 * step.efficiency(processes, batch, rates):.0f} %" for processes, batch in kinds]
        shape, (generator, critic) = "x".join(map(str, step.shape)), (f"{n / 1e6:.2f} M" for n in step.parameters)
        sent = 2 * (sum(step.reductions) + DECISION) / 1e6
        lines.append(
            f"| `{step.name}` | {shape} | {generator}, {critic} | {len(step.reductions)} + 1 "
            f"| {sent:.2f} | {step.operations / 1e9:.3g} | {' | '.join(shares)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flops", type=float, default=20e12, help="operations a second that a GPU sustains")
    parser.add_argument("--inside", type=float, default=100e9, help="bytes a second between GPUs of a machine")
    parser.add_argument("--between", type=float, default=12.5e9, help="bytes a second between machines, for each GPU")
    parser.add_argument("--latency", type=float, default=20e-6, help="seconds until a message arrives")
    parser.add_argument("--gloo", type=float, default=50e-6, help="seconds until a message of a processor arrives")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    text = table(Rates(given.flops, given.inside, given.between, given.latency, given.gloo))
    print(text)
    if given.write:
        page = re.sub(r"(<!--table-->\n).*?(\n<!--end-->)", lambda m: m[1] + text + m[2], PAGE.read_text(), flags=re.S)
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
