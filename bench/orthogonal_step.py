"""What a critic step costs under orthogonal weights, against one with a gradient penalty on the same critic.

python bench/orthogonal_step.py [--threads 1] [--repeats 30] [--precision fp32|bf16|both]
"""

import argparse
import time
from collections.abc import Iterator
from statistics import median

import numpy as np
import torch

from wgan.constraints import Constraint, GradientPenalty, Orthogonal
from wgan.networks import Latent, make_critic, make_generator
from wgan.trainer import Trainer

CASES = [
    # name, shape, family, critic's width, batch
    ("dcgan 28x28, width 32", (1, 28, 28), "dcgan", 32, 64),
    ("dcgan 28x28, width 64", (1, 28, 28), "dcgan", 64, 64),
    ("dcgan 3x64x64, width 64", (3, 64, 64), "dcgan", 64, 64),
    ("resnet 3x32x32, width 64", (3, 32, 32), "resnet", 64, 64),
    ("mlp 64, width 256, depth 3", (64,), "mlp", 256, 512),
]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def make_trainer(case: tuple, constraint: Constraint, precision: torch.dtype) -> Trainer:
    """A trainer with a critic of the case and a generator too small to matter."""
    _, shape, family, width, batch = case
    torch.manual_seed(0)
    generator = make_generator("mlp", shape, Latent(2), width=2, depth=1, norm="none")
    critic = make_critic(family, shape, width=width)
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


def measure(case: tuple, precision: torch.dtype, repeats: int) -> tuple[float, float]:
    """Medians in alternation: a step with the penalty, and one with orthogonal weights."""
    trainers = [make_trainer(case, constraint, precision) for constraint in (GradientPenalty(), Orthogonal())]
    times: list[list[float]] = [[seconds(trainer) for trainer in trainers] for _ in range(repeats + 3)][3:]
    penalty, orthogonal = (median(column) for column in zip(*times, strict=True))
    return penalty, orthogonal


def rows(precisions: list[str], repeats: int) -> Iterator[str]:
    """The table's lines, one a case and precision."""
    yield f"{'critic':<28}{'':>6}{'penalty':>11}{'orthogonal':>12}{'ratio':>8}"
    for case in CASES:
        for name in precisions:
            penalty, orthogonal = measure(case, PRECISIONS[name], repeats)
            ratio = orthogonal / penalty
            yield f"{case[0]:<28}{name:>6}{penalty * 1e3:>8.1f} ms{orthogonal * 1e3:>9.1f} ms{ratio:>8.2f}"


def main() -> None:
    """Read the flags and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--precision", choices=[*PRECISIONS, "both"], default="both")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    for line in rows(list(PRECISIONS) if flags.precision == "both" else [flags.precision], flags.repeats):
        print(line, flush=True)


if __name__ == "__main__":
    main()
