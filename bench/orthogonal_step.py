"""What a critic step costs under orthogonal weights, against one with a gradient penalty on the same critic.

The penalty is taken twice: of a critic whose input gradient wgan writes out (see wgan/slopes.py), and of the same
critic inside a module that hides its layers, so that PyTorch differentiates twice, as under a layer norm or SiLU. All
is as in training, memory that is kept included.

python bench/orthogonal_step.py [--threads 1] [--repeats 30] [--precision fp32|bf16|both]
"""

import argparse
import time
from collections.abc import Iterator
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from wgan.constraints import GradientPenalty, Orthogonal
from wgan.machine.memory import kept_memory
from wgan.networks import Latent, make_critic, make_generator
from wgan.trainer import Trainer

SIDES = ("autograd", "penalty", "orthogonal")
CASES = [
    # name, shape, family, critic's width, batch
    ("dcgan 28x28, width 32", (1, 28, 28), "dcgan", 32, 64),
    ("dcgan 28x28, width 64", (1, 28, 28), "dcgan", 64, 64),
    ("dcgan 3x64x64, width 64", (3, 64, 64), "dcgan", 64, 64),
    ("resnet 3x32x32, width 64", (3, 32, 32), "resnet", 64, 64),
    ("mlp 64, width 256, depth 3", (64,), "mlp", 256, 512),
]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Hidden(nn.Module):
    """A critic whose layers cannot be seen from outside."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> Tensor:
        """Samples to scores."""
        scores: Tensor = self.critic(x)
        return scores


def make_trainer(case: tuple, side: str, precision: torch.dtype) -> Trainer:
    """A trainer with a critic of the case and a generator too small to matter."""
    _, shape, family, width, batch = case
    torch.manual_seed(0)
    generator = make_generator("mlp", shape, Latent(2), width=2, depth=1, norm="none")
    critic: nn.Module = make_critic(family, shape, width=width)
    if side == "autograd":
        critic = Hidden(critic)
    constraint = Orthogonal() if side == "orthogonal" else GradientPenalty()
    trainer = Trainer(generator, critic, constraint=constraint, batch=batch, precision=precision)
    pictures = len(shape) == 3
    rng = np.random.default_rng(0)
    trainer.attach(
        rng.integers(0, 256, (1024, *shape[1:], shape[0]), np.uint8)
        if pictures
        else rng.normal(size=(4096, *shape)).astype(np.float32)
    )
    return trainer


def seconds(trainer: Trainer) -> float:
    """Of one critic step."""
    began = time.perf_counter()
    trainer.critic_step()
    return time.perf_counter() - began


def measure(case: tuple, precision: torch.dtype, repeats: int) -> list[float]:
    """Medians in alternation, one a side."""
    trainers = [make_trainer(case, side, precision) for side in SIDES]
    times = [[seconds(trainer) for trainer in trainers] for _ in range(repeats + 3)][3:]
    return [median(column) for column in zip(*times, strict=True)]


def rows(precisions: list[str], repeats: int) -> Iterator[str]:
    """The table's lines, one a case and precision."""
    yield f"{'critic':<28}{'':>6}" + "".join(f"{side:>14}" for side in SIDES) + f"{'of autograd':>13}{'of penalty':>12}"
    for case in CASES:
        for name in precisions:
            times = measure(case, PRECISIONS[name], repeats)
            shares = [times[2] / times[0], times[2] / times[1]]
            cells = "".join(f"{each * 1e3:>11.1f} ms" for each in times)
            yield f"{case[0]:<28}{name:>6}{cells}{shares[0]:>13.2f}{shares[1]:>12.2f}"


def main() -> None:
    """Read the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--precision", choices=[*PRECISIONS, "both"], default="both")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    with kept_memory():
        for line in rows(list(PRECISIONS) if flags.precision == "both" else [flags.precision], flags.repeats):
            print(line, flush=True)


if __name__ == "__main__":
    main()
